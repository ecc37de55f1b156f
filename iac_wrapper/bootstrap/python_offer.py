"""Which Pythons a base could be made for here: the engine's image registry is asked, else Debian's
mirror.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from iac_wrapper.adapters import docker_endpoint, process
from iac_wrapper.adapters.engine import Engine
from iac_wrapper.bootstrap import base_image, debian, docker_images
from iac_wrapper.bootstrap.context import BootstrapRun
from iac_wrapper.errors import IacError
from iac_wrapper.files import host
from iac_wrapper.files.atomic import write_text
from iac_wrapper.model.pythons import SUPPORTED, newest_first

ASKED_FOR = 24 * 3600.0
"""Seconds for which an answer holds: new Pythons come once a year."""

ASK_TIMEOUT = 120.0
"""Seconds for the package lists of two releases: 20 MB."""


def offered(context: BootstrapRun) -> list[str]:
    """Those that a base could be made for, newest first; none if nobody ever answered.

    An answer holds for a day, and for longer where nobody answers: what an image is made of must
    not depend on the network of that minute.
    """
    path, mode = context.home.data / "pythons.json", context.settings.base_images
    known: list[str] = []
    with suppress(OSError, ValueError, KeyError, TypeError):
        facts = json.loads(path.read_text(encoding="utf-8"))
        if facts["mode"] == mode:
            known = [str(version) for version in facts["offered"]]
            if 0 <= time.time() - facts["asked"] < ASKED_FOR:
                return known
    if found := newest_first(_ask(context, mode)):
        facts = {"mode": mode, "asked": int(time.time()), "offered": found}
        write_text(path, json.dumps(facts) + "\n")
    return found or known


def _ask(context: BootstrapRun, mode: str) -> list[str]:
    docker = Path(host.load_host(context.home).docker)
    loaded = [v for v in SUPPORTED if docker_images.inspect_image(docker, _official(v))]
    there: list[str] = []
    if mode != "debian":
        with context.progress.step("asking the engine's image registry for Pythons"):
            there = of_registry(Engine(docker_endpoint.endpoint(context.environ)))
    if there or mode == "registry":
        return [*loaded, *there]
    with context.progress.step("asking the Debian mirror for Pythons"):
        return [*loaded, *of_debian(context)]


def _official(version: str) -> str:
    return f"python:{version}-slim"


def of_registry(engine: Engine) -> list[str]:
    """Those of which the engine's registry has the official image; none if it does not answer."""
    import docker.errors  # noqa: PLC0415 - the SDK costs 0.2 s that other commands must not pay

    def exists(api: Any, name: str) -> bool:
        with suppress(docker.errors.NotFound):
            return bool(api.inspect_distribution(name))
        return False

    found = []
    for version in SUPPORTED:
        try:
            if engine.call(partial(exists, name=_official(version))):
                found.append(version)
        except IacError:
            break
    return found


def of_debian(context: BootstrapRun) -> list[str]:
    """Those of the Debian releases that this machine's mirrors have, as their package lists say."""
    if not (shutil.which("mmdebstrap") or context.machine.can_apt):
        return []
    wanted = {python: base_image.sources(context.machine, python) for python in debian.SUITES}
    if not all(wanted.values()) or not shutil.which("apt-get"):
        return list(wanted)  # not Debian: the mirror is mmdebstrap's own choice
    with tempfile.TemporaryDirectory(prefix="iac-lists-") as folder:
        commands = debian.ask_commands(Path(folder), [lines[0] for lines in wanted.values()])
        answers = [process.run(command, timeout=ASK_TIMEOUT).stdout for command in commands]
    return debian.pythons(answers[-1])
