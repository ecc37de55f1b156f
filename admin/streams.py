"""Streams: events and log lines as server-sent events or JSON lines, with heartbeats.

Formats: the WHATWG HTML standard, "Server-sent events"; one JSON text a line (ndjson).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from threading import Event, Lock
from typing import Any

from flask import Response

from admin.jobs.event_log import EventLog
from admin.jobs.job import EventEntry
from admin.metrics import Metrics
from admin.problem import Problem
from iac_wrapper.model.plain import plain
from iac_wrapper.operations.log_source import LogRecord

SSE = "text/event-stream"
NDJSON = "application/x-ndjson"
TEXT = "text/plain"

HEARTBEAT_SECONDS = 15.0
"""Shorter than the idle timeouts of usual proxies (60 s), and how a gone reader is noticed."""

BEAT_SECONDS = 1.0
HEARTBEAT_BEATS = round(HEARTBEAT_SECONDS / BEAT_SECONDS)
"""Followed logs look that often whether the server stops."""

MAX_SECONDS = 3600.0
"""A reader whose token was revoked is rid of its stream after that; events can be resumed."""

MAX_OPEN = 1100
"""Streams at once; below what the server answers at once, so that short requests find room."""


class Streams:
    """Makes streaming responses, and counts them."""

    def __init__(self, metrics: Metrics, stopping: Event) -> None:
        self._metrics = metrics
        self._stopping = stopping
        self._open = 0
        self._guard = Lock()

    def check_room(self) -> None:
        """Refuse one stream too many.

        Raises:
            Problem: 503.
        """
        if self._open >= MAX_OPEN:
            raise Problem(
                503,
                "too-many-streams",
                f"{self._open} streams are open",
                headers={"Retry-After": "5"},
                next_step="close some, or ask for JSON instead of a stream",
            )

    def respond(
        self,
        kind: str,
        chunks: Iterator[bytes],
        media: str,
        *,
        status: int = 200,
    ) -> Response:
        """A response that sends each chunk at once, until they end or the server stops.

        An empty chunk sends nothing, and lets a quiet stream notice that the server stops.
        """
        return Response(
            self._counted(kind, chunks),
            status,
            {"X-Accel-Buffering": "no"},
            content_type=f"{media}; charset=utf-8",
        )

    def _counted(self, kind: str, chunks: Iterator[bytes]) -> Iterator[bytes]:
        deadline = time.monotonic() + MAX_SECONDS
        self._count(1)
        self._metrics.stream_opened(kind)
        try:
            for chunk in chunks:
                if chunk:
                    yield chunk
                if self._stopping.is_set() or time.monotonic() > deadline:
                    return
        finally:
            self._count(-1)
            self._metrics.stream_closed(kind)
            close: Callable[[], None] | None = getattr(chunks, "close", None)
            if close:
                close()

    def _count(self, change: int) -> None:
        with self._guard:
            self._open += change


@dataclass(frozen=True)
class Encoding:
    """How values become chunks of one media type."""

    media: str

    @property
    def heartbeat(self) -> bytes:
        """Says that the stream is alive; readers skip it."""
        return b": alive\n\n" if self.media == SSE else b"\n"

    def event(self, entry: EventEntry) -> bytes:
        """An event of a job."""
        text = _dumps(entry.to_dict())
        if self.media == SSE:
            return f"id: {entry.id}\nevent: {entry.kind}\ndata: {text}\n\n".encode()
        return f"{text}\n".encode()

    def line(self, value: Mapping[str, Any]) -> bytes:
        """A log line: an object, or the text of its ``line``, which cannot steer a terminal."""
        if self.media == TEXT:
            return f"{plain(value['line'])}\n".encode()
        text = _dumps(value)
        return f"data: {text}\n\n".encode() if self.media == SSE else f"{text}\n".encode()


def job_events(log: EventLog, after: int, encoding: Encoding) -> Iterator[bytes]:
    """The events with ids above `after`, as they come, until the job has ended."""
    timeout = 0.0  # the first answer at once, be it a heartbeat: the reader sees the headers
    while True:
        entries, ended = log.wait(after, timeout)
        for entry in entries:
            after = entry.id
            yield encoding.event(entry)
        if ended:
            return
        if not entries:
            yield encoding.heartbeat
        timeout = HEARTBEAT_SECONDS


def log_lines(records: Iterator[LogRecord | None], encoding: Encoding) -> Iterator[bytes]:
    """The lines as they come; None stands for `BEAT_SECONDS` without one."""
    beats = 0
    try:
        for record in records:
            if record:
                beats = 0
                yield encoding.line(asdict(record))
                continue
            beats += 1
            yield b"" if beats % HEARTBEAT_BEATS else encoding.heartbeat
    finally:
        records.close()  # type: ignore[attr-defined]


def _dumps(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
