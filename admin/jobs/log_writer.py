"""The writing side of an event log: append only, one event a line; an event's id is its line.

The worker writes, before it the server and after it (if it died) the server again: never two at
once. What a writer that was killed left of a line is cut off by the next.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from admin.jobs import clock
from admin.jobs.job import EventEntry, EventKind


class LogWriter:
    """Appends to the log at `path`; any thread may."""

    def __init__(self, path: Path) -> None:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._fd = os.open(path, flags, 0o600)
        self._guard = threading.Lock()
        self._known = (-1, 0)

    def append(
        self, kind: EventKind, message: str, data: Mapping[str, Any] | None = None
    ) -> EventEntry:
        """Write one event.

        Raises:
            OSError: the disk is full or broken; the log is as it was before, but for a part of a
                line that no reader takes for an event.
        """
        with self._guard:
            size, last = self._position()
            entry = EventEntry(last + 1, clock.now(), kind, message, data)
            line = encode(entry).encode()
            if os.write(self._fd, line) < len(line):
                raise OSError(f"only a part of event {entry.id} could be written")
            self._known = (size + len(line), entry.id)
        return entry

    def sync(self) -> None:
        """Bring everything to the disk itself."""
        os.fsync(self._fd)

    def close(self) -> None:
        """Close the file; no thread may append any more."""
        os.close(self._fd)

    def _position(self) -> tuple[int, int]:
        """Size of the log and its last id: counted anew whenever the size is not the known one.

        A write that was cut short, or interrupted before it was noted, needs no care elsewhere.
        """
        if os.fstat(self._fd).st_size != self._known[0]:
            data = _read(self._fd)
            end = data.rfind(b"\n") + 1
            os.ftruncate(self._fd, end)
            self._known = (end, data.count(b"\n"))
        return self._known


def encode(entry: EventEntry) -> str:
    """The line of an event, ASCII only."""
    return json.dumps(entry.to_dict()) + "\n"


def _read(fd: int) -> bytes:
    parts, at = [], 0
    while part := os.pread(fd, 2**20, at):
        parts.append(part)
        at += len(part)
    return b"".join(parts)
