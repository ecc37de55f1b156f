"""Which docker CLI builds images: one that has BuildKit, not simply the first on PATH.

CLIs before 23.0 carry BuildKit themselves; newer ones need the buildx plugin, and many machines
have such a CLI without it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.version import Version

from iac_wrapper.adapters import process
from iac_wrapper.adapters.process import Command
from iac_wrapper.bootstrap import apt
from iac_wrapper.bootstrap.context import BootstrapRun
from iac_wrapper.bootstrap.engine import SPLIT_PACKAGES, clients
from iac_wrapper.bootstrap.tools import link, parse_version, show
from iac_wrapper.errors import EngineError
from iac_wrapper.files.machine_home import setup_command

_BUILTIN_BUILDKIT = (Version("18.9"), Version("23"))
"""From the first CLI with ``build --secret`` to the first that delegates to buildx."""


@dataclass(frozen=True)
class DockerCli:
    """A docker CLI. `server` is None when the engine refuses it (its API may be too old)."""

    path: Path
    client: Version | None
    server: Version | None
    buildx: bool

    @property
    def can_build(self) -> bool:
        """True if ``docker build --secret`` works with it."""
        low, high = _BUILTIN_BUILDKIT
        builtin = self.client is not None and low <= self.client < high
        return self.server is not None and (self.buildx or builtin)

    def describe(self) -> str:
        """For the error that lists why none fits."""
        if self.server is None:
            return f"{self.path}: {show(self.client)}, the engine does not talk to it"
        return f"{self.path}: {show(self.client)}, no buildx plugin"


def ensure(context: BootstrapRun) -> DockerCli:
    """The CLI to use, linked as ``bin/docker``; the buildx package is installed if it helps.

    Raises:
        EngineError: no CLI here can build.
    """
    chosen = choose(_inspected(context))
    if chosen is None and context.machine.can_apt:
        apt.install(context, (), optional=SPLIT_PACKAGES)
        chosen = choose(_inspected(context))
    if chosen is None:
        raise EngineError(
            "no docker CLI here can build images with BuildKit",
            expected="the buildx plugin, or a CLI from 18.09 to 22",
            next_step="apt-get install docker-buildx (Docker's own packages:"
            f" docker-buildx-plugin), then {setup_command()}",
            detail="\n".join(cli.describe() for cli in _inspected(context)),
        )
    link(context.bin / "docker", chosen.path)
    return chosen


def choose(found: Iterable[DockerCli]) -> DockerCli | None:
    """The first that can build."""
    return next((cli for cli in found if cli.can_build), None)


def inspect_cli(path: Path) -> DockerCli:
    """Ask one CLI what it can do."""
    versions = process.run(
        Command((str(path), "version", "--format", "{{.Client.Version}} {{.Server.Version}}")),
        timeout=20,
    )
    client, _, server = versions.stdout.strip().partition(" ")
    buildx = process.run(Command((str(path), "buildx", "version")), timeout=20)
    return DockerCli(
        path=path,
        client=parse_version(client),
        server=parse_version(server) if versions.returncode == 0 else None,
        buildx=buildx.returncode == 0,
    )


def _inspected(context: BootstrapRun) -> Iterator[DockerCli]:
    """One after the other: most machines need to ask only the first."""
    return map(inspect_cli, clients(context))
