"""The lines of one container: from its runner while that answers, else from the engine.

The runner's lines come over mTLS and carry their time and stream; the engine has them also of a
container that is down, or that ran before it was started again.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from iac_wrapper.adapters.engine import Container
from iac_wrapper.errors import CertificateError, UnhealthyError
from iac_wrapper.identity.control_plane import ControlPlane
from iac_wrapper.model.health import LogLine
from iac_wrapper.operations.workspace import Workspace

_STAMPED = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z) ")
"""How the engine dates a line."""

RETRY_SECONDS = 0.5
RECONNECT_SECONDS = 15.0
"""For how long a stream that broke is asked for again before the engine is."""


@dataclass(frozen=True)
class LogRecord:
    """One line of a service. Control characters are kept.

    `role` is ``app`` or ``envoy``, ``candidate-…`` while a deploy that did not end has left the
    traffic to a candidate, ``failed``: kept from a version that failed and is gone, ``previous``:
    from the one that was replaced last, or ``run``: of the one-off whose id `service` is. `stream`
    (``stdout``, ``stderr``, ``runner``) is that of a line that the runner sent, None where it came
    from the engine's log; `time` (ISO 8601, UTC) is None for what was kept of a container that is
    gone.
    """

    service: str
    role: str
    line: str
    stream: str | None = None
    time: str | None = None


@dataclass(frozen=True)
class LogQuery:
    """Which lines of a container are asked for.

    `tail` counts lines of history, None: all; `since` (seconds since 1970) replaces it, `until`
    ends them. `of_engine`: the engine is asked, which has lines that the runner dropped. `opened`
    is handed what ends the reading: another thread may call it.
    """

    tail: int | None
    follow: bool = False
    since: float | None = None
    until: float | None = None
    of_engine: bool = False
    opened: Callable[[Callable[[], None]], None] = lambda _: None


def read_lines(
    workspace: Workspace, plane: ControlPlane | None, container: Container, query: LogQuery
) -> Iterator[LogRecord]:
    """The lines of `container`, oldest first, with secrets masked.

    Args:
        plane: whom to ask for the runner's lines; None where nothing is recorded as deployed.
    """
    redact, last = workspace.redactor().lines(), ""
    if plane and not query.of_engine and _runner_has_all(container, query):
        stream = _RunnerStream(workspace, plane, container, query)
        for line in stream.lines():
            last = f"runner: {line.text}" if line.stream == "runner" else line.text
            stamp = line.ts.isoformat(timespec="microseconds")
            yield LogRecord(line.service, container.role, redact(last), line.stream, stamp)
        if stream.complete:
            return
        query = replace(query, since=stream.last or query.since)
    for number, (text, time_) in enumerate(engine_lines(workspace, container.id, query)):
        if last and number == 0 and text == last:
            continue  # the engine dates a line a little later than the runner
        yield LogRecord(container.service, container.role, redact(text), time=time_)


def _runner_has_all(container: Container, query: LogQuery) -> bool:
    """Whether no line that is asked for was printed before this start of the container."""
    return (
        container.role == "app"
        and container.running
        and not container.foreign
        and (query.since is not None or not container.ran_before)
    )


class _RunnerStream:
    """One reading of a runner's lines; after a break it goes on behind the last line.

    `complete` says whether nothing is left to read; `last` is the time of the last line, seconds
    since 1970, None before the first.
    """

    def __init__(
        self, workspace: Workspace, plane: ControlPlane, container: Container, query: LogQuery
    ) -> None:
        self.complete = False
        self.last: float | None = None
        self._at_last = 0  # lines with the time `last`
        self._broke: float | None = None
        self._workspace = workspace
        self._plane = plane
        self._container = container
        self._query = query

    def lines(self) -> Iterator[LogLine]:
        """Until the stream ends, or the runner cannot be reached (any more)."""
        while not self.complete:
            try:
                yield from self._new(self._stream())
                self.complete = True
            except (UnhealthyError, CertificateError):
                may_come = self.last is not None or self._query.since is not None
                if not (self._query.follow and may_come and self._is_running()):
                    return  # the engine has what there is
                self._broke = self._broke or time.monotonic()
                if time.monotonic() - self._broke > RECONNECT_SECONDS:
                    return
                time.sleep(RETRY_SECONDS)

    def _stream(self) -> Iterator[LogLine]:
        all_that_is_held = self._query.since is not None or self.last is not None
        return self._plane.logs(
            self._container.service,
            follow=self._query.follow,
            tail=None if all_that_is_held else self._query.tail,
            opened=self._query.opened,
        )

    def _new(self, lines: Iterator[LogLine]) -> Iterator[LogLine]:
        """Those of `lines` that were not read before; a clock may give several one time."""
        last, known = self.last, self._at_last
        for line in lines:
            self._broke = None
            at = line.ts.timestamp()
            if last is not None and (at < last or (at == last and known > 0)):
                known -= at == last
                continue
            self._at_last = self._at_last + 1 if at == self.last else 1
            self.last = at
            yield line

    def _is_running(self) -> bool:
        now = self._workspace.engine.container(self._container.id)
        return now is not None and now.running


class EngineLine(NamedTuple):
    """A line of the engine's log, and when it began (ISO 8601, UTC)."""

    text: str
    time: str | None


def engine_lines(workspace: Workspace, container: str, query: LogQuery) -> Iterator[EngineLine]:
    """What the engine has of a container's output, line by line, nothing masked."""
    rest, stamp, time_of_rest = b"", None, None
    for written in workspace.engine.log_chunks(
        container,
        tail=query.tail,
        follow=query.follow,
        since=query.since,
        until=query.until,
        timestamps=True,
        opened=query.opened,
    ):
        match = _STAMPED.match(written)
        stamp = _microseconds(match[1].decode()) if match else stamp
        time_of_rest = time_of_rest if rest else stamp
        *whole, rest = (rest + written[match.end() if match else 0 :]).split(b"\n")
        for line in whole:
            yield EngineLine(_text(line), time_of_rest)
            time_of_rest = stamp
    if rest:
        yield EngineLine(_text(rest), time_of_rest)


def _microseconds(stamp: str) -> str:
    """In the form of a runner's times: these can be compared as text."""
    return datetime.fromisoformat(stamp).isoformat(timespec="microseconds")


def _text(line: bytes) -> str:
    return line.decode(errors="replace").rstrip("\r")
