"""Logs of deployed services: what the user code printed, with its Envoy's when asked."""

from __future__ import annotations

import queue
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TypeVar

from iac_wrapper.adapters.engine import Container
from iac_wrapper.errors import ConfigError
from iac_wrapper.identity.control_plane import ControlPlane
from iac_wrapper.model import labels, one_off
from iac_wrapper.operations import candidates, failed_logs, run_logs, verify
from iac_wrapper.operations.log_source import LogQuery, LogRecord, read_lines
from iac_wrapper.operations.workspace import Workspace

T = TypeVar("T")

TOLD = re.compile(r"sidecar: (?:no service |.* was refused: `egress:` )")
"""What a sidecar says to those who read a program's log: of a name that nobody has, and of what the
program may not reach."""

TOLD_TAIL = 1000
"""How many lines of a sidecar are searched for such lines."""

RESTART_SECONDS = 15.0
"""How long a followed container may be down: Docker's restart policy begins with 0.1 s."""


def logs(
    workspace: Workspace, services: Sequence[str], *, roles: Sequence[str], tail: int
) -> Iterator[LogRecord]:
    """The last `tail` lines of each named service (all if none is named), one after the other;
    ids of one-offs are names as well.

    Where the runner does not answer they come from the engine: the runner copies everything that
    user code prints to its container's log, so a service that is down shows why. Without the role
    ``envoy`` the sidecars' lines about names that nobody has are among them all the same: the
    program's own error may name none.

    Raises:
        ConfigError: nothing is deployed, or no service has that name; at the call.
    """
    if services and all(map(one_off.service_of, services)):
        return run_logs.logs(workspace, services, tail=tail)
    containers = _chosen(workspace, services, roles)
    plane = _plane(workspace)
    current = (r for one in containers for r in _last(workspace, plane, one, roles, tail))
    return _in_turn(_failed(workspace, services, tail), current)


def follow(
    workspace: Workspace,
    services: Sequence[str],
    *,
    roles: Sequence[str],
    tail: int,
    beat: float | None = None,
) -> Iterator[LogRecord | None]:
    """`logs`, then the lines to come, merged, over restarts, until all containers are gone.

    With `beat`, a None comes after so many quiet seconds. Closing the iterator ends its threads.
    """
    if services and all(map(one_off.service_of, services)):
        return run_logs.logs(workspace, services, tail=tail, follow=True)
    containers = _chosen(workspace, services, roles)
    current = _merged(_Follower(workspace, tail, roles), containers, beat)
    return _in_turn(_failed(workspace, services, tail), current)


def _in_turn(first: Iterator[LogRecord], then: Iterator[T]) -> Iterator[LogRecord | T]:
    yield from first
    yield from then


def _failed(workspace: Workspace, services: Sequence[str], tail: int) -> Iterator[LogRecord]:
    """What is kept of versions that failed, each with a line that says what it is."""
    for service in sorted(failed_logs.services(workspace)):
        if not services or service in services:
            for line in failed_logs.read_failed_log(workspace, service, tail=tail):
                yield LogRecord(service, "failed", line)


def _merged(
    follower: _Follower, containers: Sequence[Container], beat: float | None
) -> Iterator[LogRecord | None]:
    try:
        for container in containers:
            threading.Thread(target=follower.pump, args=(container,), daemon=True).start()
        open_streams = len(containers)
        while open_streams:
            try:
                record = follower.lines.get(timeout=beat)
            except queue.Empty:
                yield None
                continue
            if record is None:
                open_streams -= 1
            else:
                yield record
    finally:
        follower.close()


class _Follower:
    """What the threads that follow containers share with their reader."""

    def __init__(self, workspace: Workspace, tail: int, roles: Sequence[str]) -> None:
        self.lines: queue.Queue[LogRecord | None] = queue.Queue(maxsize=1000)
        self._workspace = workspace
        self._plane = _plane(workspace)
        self._tail = tail
        self._roles = roles
        self._closed = threading.Event()
        self._closers: list[Callable[[], None]] = []

    def close(self) -> None:
        """End all threads, whether they wait for the engine or for the reader."""
        self._closed.set()
        for close in tuple(self._closers):
            close()

    def pump(self, container: Container) -> None:
        """Follow a container, over restarts, until it is gone or stays down."""
        since: int | None = None
        try:
            while not self._closed.is_set():
                query = LogQuery(self._tail, follow=True, since=since, opened=self._opened)
                for record in read_lines(self._workspace, self._plane, container, query):
                    if _is_wanted(record, self._roles):
                        self._put(record)
                since = int(time.time())
                again = self._workspace.engine.comes_back(container, within=RESTART_SECONDS)
                if again is None:
                    return
                container = again
        finally:
            self._put(None)

    def _opened(self, close: Callable[[], None]) -> None:
        self._closers.append(close)
        if self._closed.is_set():
            close()

    def _put(self, record: LogRecord | None) -> None:
        while not self._closed.is_set():
            with suppress(queue.Full):
                self.lines.put(record, timeout=1.0)
                return


def _chosen(workspace: Workspace, services: Sequence[str], roles: Sequence[str]) -> list[Container]:
    containers = workspace.engine.containers(workspace.project)
    known = sorted({c.service for c in containers if c.service})
    if not known:
        workspace.deployed_lock()
    for service in services:
        if service not in known:
            raise ConfigError(
                f"no service {service} in project {workspace.project}",
                expected=", ".join(known) or "a deployed service",
                next_step="iac health lists them",
            )
    live = {name for name, pair in candidates.pairs(workspace).items() if pair.live}
    own = {*roles, "envoy"}
    wanted = {*own, *(f"{labels.CANDIDATE}{role}" for role in own)}
    return [
        c
        for c in containers
        if c.role in wanted
        and (c.role in own or c.service in live)
        and (not services or c.service in services)
    ]


def _last(
    workspace: Workspace,
    plane: ControlPlane | None,
    container: Container,
    roles: Sequence[str],
    tail: int,
) -> Iterator[LogRecord]:
    whole = container.role.removeprefix(labels.CANDIDATE) in roles
    query = LogQuery(tail if whole else TOLD_TAIL)
    records = read_lines(workspace, plane, container, query)
    if whole:
        return records
    return iter(deque((each for each in records if _is_wanted(each, roles)), maxlen=tail))


def _plane(workspace: Workspace) -> ControlPlane | None:
    lock = workspace.applied_lock()
    return verify.control_plane(workspace, lock) if lock else None


def _is_wanted(record: LogRecord, roles: Sequence[str]) -> bool:
    return record.role.removeprefix(labels.CANDIDATE) in roles or bool(TOLD.match(record.line))
