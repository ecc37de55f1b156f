"""The last output of the user's program, bounded by lines and bytes, for any number of readers.

Readers hold a position, never a buffer: one that is too slow loses lines and is told how many.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal

StreamName = Literal["stdout", "stderr", "runner"]


@dataclass(frozen=True)
class Line:
    """One line of output: when it ended (Unix time), its stream, its text without line end."""

    ts: float
    stream: StreamName
    text: str


class LogRing:
    """A bounded history that can be followed.

    Args:
        max_lines: lines kept.
        max_chars: sum of the kept lines' lengths, in characters.
    """

    def __init__(self, max_lines: int = 5000, max_chars: int = 2_000_000) -> None:
        self._max_lines = max_lines
        self._max_chars = max_chars
        self._lines: deque[Line] = deque()
        self._chars = 0
        self._end = 0  # position after the newest line; positions count from the first line ever
        self._changed = threading.Condition()
        self._closed = False

    def append(self, stream: StreamName, text: str) -> None:
        """Add a line and drop the oldest ones that no longer fit."""
        with self._changed:
            self._lines.append(Line(time.time(), stream, text))
            self._chars += len(text)
            self._end += 1
            while len(self._lines) > self._max_lines or self._chars > self._max_chars:
                self._chars -= len(self._lines.popleft().text)
            self._changed.notify_all()

    def close(self) -> None:
        """No more lines will come: followers end once they have read what is there."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def read(
        self,
        *,
        tail: int | None = None,
        follow: bool = False,
        wanted: Callable[[], bool] = lambda: True,
    ) -> Iterator[Line]:
        """History, then (with `follow`) new lines until the ring closes or nobody wants more.

        Args:
            tail: begin with the last so many lines; None: all that are held.
            follow: wait for lines to come.
            wanted: asked at least every half second while waiting; False ends the reading.
        """
        with self._changed:
            position = self._end - len(self._lines)
            if tail is not None:
                position = max(position, self._end - tail)
        while True:
            with self._changed:
                while follow and position == self._end and not self._closed and wanted():
                    self._changed.wait(0.5)
                oldest = self._end - len(self._lines)
                missed = max(0, oldest - position)
                batch = list(islice(self._lines, max(position, oldest) - oldest, None))
                position = self._end
            if missed:
                yield Line(time.time(), "runner", f"({missed} lines lost: reader too slow)")
            yield from batch
            if not follow or not batch:
                return
