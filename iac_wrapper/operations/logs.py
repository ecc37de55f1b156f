"""Logs of deployed services: what the user code printed, with its Envoy's when asked."""

from __future__ import annotations

import heapq
import queue
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from operator import itemgetter
from typing import NamedTuple, TypeVar

from iac_wrapper.adapters.engine import Container
from iac_wrapper.identity.control_plane import ControlPlane
from iac_wrapper.model import labels, one_off
from iac_wrapper.model.log_filter import LogFilter
from iac_wrapper.operations import candidates, kept_logs, parked, run_logs, verify
from iac_wrapper.operations.log_source import LogQuery, LogRecord, read_lines
from iac_wrapper.operations.workspace import Workspace

T = TypeVar("T")

TOLD = re.compile(r"sidecar: (?:no service |.* was refused: `(?:allow|egress):` )")
"""What a sidecar says to those who read a program's log: of a name that nobody has, of what the
program may not reach, and of calls that a service does not allow it."""

TOLD_TAIL = 1000
"""How many lines of a sidecar are searched for such lines."""

RESTART_SECONDS = 15.0
"""How long a followed container may be down: Docker's restart policy begins with 0.1 s."""


NOTHING = LogFilter()

HOLD_SECONDS = 0.2
"""How long a line that is followed waits for earlier ones of other containers."""


def logs(
    workspace: Workspace,
    services: Sequence[str],
    *,
    roles: Sequence[str],
    tail: int | None,
    wanted: LogFilter = NOTHING,
) -> Iterator[LogRecord]:
    """The last `tail` lines that are `wanted` (None: all) of each named service (all services if
    none is named), by their times; ids of one-offs are names as well.

    Where the runner does not answer they come from the engine: the runner copies everything that
    user code prints to its container's log, so a service that is down shows why. Without the role
    ``envoy`` the sidecars' lines about what the program does not reach are among them all the same:
    the program's own error may name none.

    Raises:
        ConfigError: nothing is deployed, or no service has that name; at the call.
    """
    if services and all(map(one_off.service_of, services)):
        return run_logs.logs(workspace, services, tail=tail, wanted=wanted)
    containers = _chosen(workspace, services, roles)
    plane, asked = _plane(workspace), _Asked(roles, tail, wanted)
    current = [_dated(_last(workspace, plane, container, asked)) for container in containers]
    merged = (record for _, record in heapq.merge(*current, key=itemgetter(0)))
    return _in_turn(_failed(workspace, services, asked), merged)


def follow(  # noqa: PLR0913 - a keyword for each wish
    workspace: Workspace,
    services: Sequence[str],
    *,
    roles: Sequence[str],
    tail: int | None,
    wanted: LogFilter = NOTHING,
    beat: float | None = None,
) -> Iterator[LogRecord | None]:
    """`logs`, then the lines to come, merged, over restarts, until all containers are gone.

    `tail` counts lines before words are looked for. With `beat`, a None comes after so many quiet
    seconds. Closing the iterator ends its threads.
    """
    if services and all(map(one_off.service_of, services)):
        return run_logs.logs(workspace, services, tail=tail, follow=True, wanted=wanted)
    containers = _chosen(workspace, services, roles)
    asked = _Asked(roles, tail, wanted)
    current = _merged(_Follower(workspace, asked), containers, beat)
    return _in_turn(_failed(workspace, services, asked), current)


class _Asked(NamedTuple):
    """The lines that are asked for: of which containers, how many, and what is in them."""

    roles: Sequence[str]
    tail: int | None
    wanted: LogFilter

    def takes(self, record: LogRecord) -> bool:
        """Whether a line is one of them."""
        told = record.role.removeprefix(labels.CANDIDATE) in self.roles or TOLD.match(record.line)
        return bool(told) and self.wanted.keeps(record.line)


def _in_turn(first: Iterator[LogRecord], then: Iterator[T]) -> Iterator[LogRecord | T]:
    yield from first
    yield from then


def _dated(records: Iterable[LogRecord]) -> Iterator[tuple[str, LogRecord]]:
    """Each with its time; what has none, or an earlier one, stays behind the line before it of the
    same container."""
    last: dict[tuple[str, str], str] = {}
    for record in records:
        container = (record.service, record.role)
        last[container] = max(last.get(container, ""), record.time or "")
        yield last[container], record


def _failed(workspace: Workspace, services: Sequence[str], asked: _Asked) -> Iterator[LogRecord]:
    """What is kept of versions that failed, each with a line that says what it is."""
    return kept_logs.records(workspace, "failed", services, tail=asked.tail, wanted=asked.wanted)


def _merged(
    follower: _Follower, containers: Sequence[Container], beat: float | None
) -> Iterator[LogRecord | None]:
    try:
        for container in containers:
            threading.Thread(target=follower.pump, args=(container,), daemon=True).start()
        open_streams = len(containers)
        while open_streams:
            try:
                some = [follower.lines.get(timeout=beat)]
            except queue.Empty:
                yield None
                continue
            some += _more(follower.lines, until=time.monotonic() + HOLD_SECONDS)
            open_streams -= some.count(None)
            dated = _dated(record for record in some if record)
            yield from (record for _, record in sorted(dated, key=itemgetter(0)))
    finally:
        follower.close()


def _more(lines: queue.Queue[T], *, until: float) -> Iterator[T]:
    """What comes until then; no more than there is room for in the queue, so that a service that
    prints without end does not hold up its own lines."""
    for _ in range(lines.maxsize):
        try:
            yield lines.get(timeout=max(0.0, until - time.monotonic()))
        except queue.Empty:
            return


class _Follower:
    """What the threads that follow containers share with their reader."""

    def __init__(self, workspace: Workspace, asked: _Asked) -> None:
        self.lines: queue.Queue[LogRecord | None] = queue.Queue(maxsize=1000)
        self._workspace = workspace
        self._plane = _plane(workspace)
        self._asked = asked
        self._closed = threading.Event()
        self._closers: list[Callable[[], None]] = []

    def close(self) -> None:
        """End all threads, whether they wait for the engine or for the reader."""
        self._closed.set()
        for close in tuple(self._closers):
            close()

    def pump(self, container: Container) -> None:
        """Follow a container, over restarts, until it is gone or stays down."""
        wanted = self._asked.wanted
        since, known = _seconds(wanted.since), False
        try:
            while not self._closed.is_set():
                query = LogQuery(
                    self._asked.tail,
                    follow=True,
                    since=since,
                    of_engine=wanted.is_set and not known,
                    opened=self._opened,
                )
                for record in read_lines(self._workspace, self._plane, container, query):
                    if self._asked.takes(record):
                        self._put(record)
                since, known = int(time.time()), True
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
            raise parked.unknown_service(workspace, service, known)
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
    workspace: Workspace, plane: ControlPlane | None, container: Container, asked: _Asked
) -> Iterator[LogRecord]:
    wanted, whole = asked.wanted, container.role.removeprefix(labels.CANDIDATE) in asked.roles
    query = LogQuery(asked.tail if whole else TOLD_TAIL)
    if wanted.is_set:
        since, until = _seconds(wanted.since), _seconds(wanted.until)
        query = LogQuery(None, since=since, until=until, of_engine=True)
    records = read_lines(workspace, plane, container, query)
    found = records if whole and not wanted.is_set else filter(asked.takes, records)
    # Read at once where that is bounded: a runner does not wait for a person who reads.
    return found if asked.tail is None else iter(deque(found, maxlen=asked.tail))


def _seconds(time: datetime | None) -> float | None:
    return time.timestamp() if time else None


def _plane(workspace: Workspace) -> ControlPlane | None:
    lock = workspace.applied_lock()
    return verify.control_plane(workspace, lock) if lock else None
