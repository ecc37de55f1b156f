"""What the checks of a machine look at."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from iac_wrapper.adapters import docker_endpoint
from iac_wrapper.adapters.engine import Engine
from iac_wrapper.files import host
from iac_wrapper.files.host import Host
from iac_wrapper.settings import Settings

ANSWER_SECONDS = 10.0
"""How long the engine may take for an answer; one that is busy with builds takes one or two."""


@dataclass(frozen=True)
class ThisMachine:
    """This machine with these settings; `proc` is where its kernel tells of itself."""

    settings: Settings
    proc: Path = Path("/proc")

    @cached_property
    def engine(self) -> Engine:
        """The engine, the one that the docker CLI uses."""
        return Engine(self.endpoint, timeout=ANSWER_SECONDS)

    @cached_property
    def info(self) -> dict[str, Any]:
        """What the engine says of itself (``GET /info`` of its API).

        Raises:
            EngineError, CommandError: it does not answer.
        """

        def ask(api: Any) -> dict[str, Any]:
            return dict(api.info())

        return self.engine.call(ask)

    @property
    def record(self) -> Host:
        """What the set-up found and built.

        Raises:
            ConfigError: there was none, or one of another version.
        """
        return host.load_host(self.settings.machine_home)

    @property
    def endpoint(self) -> str | None:
        """The engine's address; None is the default socket."""
        return docker_endpoint.endpoint(self.settings.environment)

    @property
    def has_the_engine(self) -> bool:
        """Whether the engine runs here: only then do its kernel and disks show here."""
        return docker_endpoint.is_local(self.endpoint)

    @property
    def shares_users(self) -> bool:
        """Whether all containers count as one user of the kernel's limits (rootless, userns)."""
        options = self.info.get("SecurityOptions") or ()
        return any("rootless" in each or "userns" in each for each in options)
