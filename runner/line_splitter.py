"""Bytes of a stream into lines of bounded length. It must not know where they come from or go."""

from __future__ import annotations

from collections.abc import Callable

MAX_LINE = 16 * 1024
"""Bytes kept of one line; Docker's own json-file driver splits at the same length."""


class LineSplitter:
    """Feeds whole lines as text to `emit`; bad UTF-8 becomes U+FFFD, CRLF ends a line too."""

    def __init__(self, emit: Callable[[str], None]) -> None:
        self._emit = emit
        self._start = b""
        self._cut = 0

    @property
    def pending(self) -> bool:
        """Whether part of a line waits for its end."""
        return bool(self._start)

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        *whole, rest = data.split(b"\n")
        for piece in whole:
            self._add(piece)
            self._end_line()
        self._add(rest)

    def flush(self) -> None:
        """Emit the started line, if any: its end may never come."""
        if self.pending:
            self._end_line()

    def _add(self, piece: bytes) -> None:
        room = MAX_LINE - len(self._start)
        self._start += piece[:room]
        self._cut += len(piece) - len(piece[:room])

    def _end_line(self) -> None:
        text = self._start.removesuffix(b"\r").decode("utf-8", errors="replace")
        if self._cut:
            text += f" ({self._cut} more bytes cut)"
        self._start, self._cut = b"", 0
        self._emit(text)
