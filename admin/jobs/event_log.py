"""The reading side of an event log: decoded once, however many readers wait for it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

from admin.jobs.job import EventEntry


class EventLog:
    """The events of one job, in memory as far as they were read.

    Somebody must call `poll` while the job lives: `Jobs` does, from one thread for all jobs.

    Args:
        path: the file; it may come later.
        on_finished: told the last event before any reader sees it.
        ended: the job has ended, so nothing will come even if the last event is missing.
    """

    def __init__(
        self,
        path: Path,
        *,
        on_finished: Callable[[EventEntry], None] = lambda _: None,
        ended: bool = False,
    ) -> None:
        self._path = path
        self._on_finished = on_finished
        self._polling = threading.Lock()
        self._changed = threading.Condition()
        self._offset = 0
        self._entries: list[EventEntry] = []
        self._ended = ended
        self._closed = False
        if ended:
            self._entries = self._fresh()

    @property
    def is_ended(self) -> bool:
        """Whether the last event is known."""
        return self._ended

    def read(self, after: int) -> tuple[list[EventEntry], bool]:
        """The events with a greater id than `after`; True if no more will come after these."""
        with self._changed:
            return self._entries[max(after, 0) :], self._ended

    def wait(self, after: int, timeout: float) -> tuple[list[EventEntry], bool]:
        """As `read`, once there is something, the job has ended, the log was closed, or after
        `timeout` seconds.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: len(self._entries) > after or self._ended or self._closed, timeout
            )
            return self._entries[max(after, 0) :], self._ended

    def poll(self) -> None:
        """Read what has come and wake the readers."""
        with self._polling:
            fresh = [] if self._ended else self._fresh()
            if not fresh:
                return
            finished = fresh[-1].kind == "finished"
            if finished:
                self._on_finished(fresh[-1])
            with self._changed:
                self._entries += fresh
                self._ended = finished
                self._changed.notify_all()

    def close(self) -> None:
        """Let the readers go: nobody polls any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _fresh(self) -> list[EventEntry]:
        """New events; a line without its end is left for later: it may be cut off and replaced."""
        try:
            if self._path.stat().st_size <= self._offset:
                return []
            with self._path.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except OSError:
            return []
        found: list[EventEntry] = []
        for line in data[: data.rfind(b"\n") + 1].splitlines(keepends=True):
            self._offset += len(line)
            found.append(_decode(line, len(self._entries) + len(found) + 1))
            if found[-1].kind == "finished":
                break
        return found


def _decode(line: bytes, number: int) -> EventEntry:
    """An event; a damaged line keeps its number, so that none is missing."""
    try:
        entry = EventEntry(**json.loads(line))
        if entry.id == number:
            return entry
    except (ValueError, TypeError):
        pass
    return EventEntry(number, "", "warning", "this event cannot be read")
