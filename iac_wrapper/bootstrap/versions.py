"""`iac version`: which version of everything that a deploy runs with."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from pathlib import Path

from iac_wrapper import __version__
from iac_wrapper.bootstrap import docker_cli, node, terraform
from iac_wrapper.bootstrap.doctor import ThisMachine
from iac_wrapper.bootstrap.images import ENVOY_VERSION
from iac_wrapper.errors import IacError
from iac_wrapper.model.provider import PROVIDER_VERSION


def versions(machine: ThisMachine) -> dict[str, str | None]:
    """Name -> version, None where there is none, it does not answer, or nothing is set up."""
    return {"iac": __version__, "python": platform.python_version()} | dict(_found(machine))


def _found(machine: ThisMachine) -> Iterator[tuple[str, str | None]]:
    home = machine.settings.machine_home

    def of_terraform() -> str | None:
        found = terraform.inspect_terraform((str(home.terraform),))
        return str(found.version) if found else None

    def of_cli() -> str | None:
        found = docker_cli.inspect_cli(Path(machine.record.docker)).client
        return str(found) if found else None

    def of_node() -> str | None:
        found = node.inspect_node(Path(machine.record.node), home.bin / "npm")
        return str(found.version) if found else None

    asked: dict[str, Callable[[], str | None]] = {
        "engine": machine.engine.ping,
        "docker CLI": of_cli,
        "terraform": of_terraform,
        "provider": lambda: f"{PROVIDER_VERSION} ({machine.record.provider})",
        "envoy": lambda: ENVOY_VERSION if machine.record.sidecar_image else None,
        "node": of_node,
    }
    for name, ask in asked.items():
        try:
            yield name, ask()
        except (IacError, OSError):
            yield name, None
