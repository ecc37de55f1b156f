"""Logs of deployed services: what the user code printed, with its Envoy's when asked."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from iac_wrapper.adapters.engine import Container
from iac_wrapper.errors import ConfigError
from iac_wrapper.operations.workspace import Workspace

RESTART_SECONDS = 15.0
"""How long a followed container may be down: Docker's restart policy begins with 0.1 s."""


@dataclass(frozen=True)
class LogRecord:
    """One line of a service; `role` is ``app`` or ``envoy``. Control characters are kept."""

    service: str
    role: str
    line: str


def logs(
    workspace: Workspace, services: Sequence[str], *, roles: Sequence[str], tail: int, follow: bool
) -> Iterator[LogRecord]:
    """Lines of the named services (all if none is named), merged as they come.

    They come from the engine, so a service that is down shows why; the runner copies everything
    user code prints to its container's log.

    Raises:
        ConfigError: nothing is deployed, or no service has that name.
    """
    containers = _chosen(workspace, services, roles)
    if not follow:
        for container in containers:
            yield from _records(workspace, container, tail=tail, follow=False)
        return
    lines: queue.Queue[LogRecord | None] = queue.Queue(maxsize=1000)
    for container in containers:
        threading.Thread(
            target=_pump, args=(workspace, container, tail, lines), daemon=True
        ).start()
    open_streams = len(containers)
    while open_streams:
        record = lines.get()
        if record is None:
            open_streams -= 1
        else:
            yield record


def _chosen(workspace: Workspace, services: Sequence[str], roles: Sequence[str]) -> list[Container]:
    containers = workspace.engine.containers(workspace.project)
    known = sorted({c.service for c in containers if c.service})
    if not known:
        workspace.deployed()
    for service in services:
        if service not in known:
            raise ConfigError(
                f"no service {service} in project {workspace.project}",
                expected=", ".join(known) or "a deployed service",
                next_step="iac health lists them",
            )
    return [c for c in containers if c.role in roles and (not services or c.service in services)]


def _records(
    workspace: Workspace,
    container: Container,
    *,
    tail: int,
    follow: bool,
    since: int | None = None,
) -> Iterator[LogRecord]:
    rest, redact = b"", workspace.redactor().lines()
    for chunk in workspace.engine.log_chunks(container.id, tail=tail, follow=follow, since=since):
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (_record(container, line, redact) for line in whole)
    if rest:
        yield _record(container, rest, redact)


def _record(container: Container, line: bytes, redact: Callable[[str], str]) -> LogRecord:
    text = redact(line.decode(errors="replace").rstrip("\r"))
    return LogRecord(container.service, container.role, text)


def _pump(
    workspace: Workspace, container: Container, tail: int, lines: queue.Queue[LogRecord | None]
) -> None:
    """Follow a container, over restarts, until it is gone or stays down."""
    since: int | None = None
    try:
        while True:
            for record in _records(workspace, container, tail=tail, follow=True, since=since):
                lines.put(record)
            since = int(time.time())
            again = workspace.engine.comes_back(container, within=RESTART_SECONDS)
            if again is None:
                return
            container = again
    finally:
        lines.put(None)
