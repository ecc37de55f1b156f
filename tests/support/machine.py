"""What bootstrap recorded of this machine, for tests that use its images and its engine."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from iac_wrapper import settings
from iac_wrapper.files import host
from provider.configuration import resolve
from provider.engine import EngineApi

ROOT = Path(__file__).parents[2]


@cache
def record() -> host.Host:
    """The record; without one the test fails with the way to get it."""
    return host.load_host(settings.load_settings(ROOT).machine_home)


def base_image() -> str:
    """A slim Python image that the engine has."""
    return next(iter(record().bases.values())).image


def engine() -> EngineApi:
    """The engine that DOCKER_HOST names, else the default one."""
    chosen = resolve({})
    return EngineApi(chosen.host, chosen.certificates)
