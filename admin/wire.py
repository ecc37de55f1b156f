"""The two directions of one connection, each with a clock. Bytes only, no HTTP but the blank line.

Both raise `Gone`, never a bare OSError: an error of the application's own files and sockets must
not look like one of the client.
"""

from __future__ import annotations

import re
import socket
import time

_HEAD_END = re.compile(rb"\n\r?\n")  # a bare LF is an error, but one to be answered at once


class Gone(ConnectionError):  # noqa: N818 - says what it is
    """The client closed, took nothing for too long, or was cut off."""


class Late(Gone):
    """The client did not send what it owes in time."""


class Reader:
    """What the client sends. `deadline` (monotonic seconds) bounds all reads together."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._buffer = bytearray()
        self._seen = 0
        self.deadline = float("inf")

    def __len__(self) -> int:
        return len(self._buffer)

    def fill(self) -> bool:
        """Take what is there without waiting; False if there is an end and no more."""
        try:
            data = self._socket.recv(65536)
        except (BlockingIOError, InterruptedError):
            return True
        except OSError:
            return False
        self._buffer += data
        return bool(data)

    def has_head(self) -> bool:
        """Whether a request can be parsed without waiting."""
        start = max(0, self._seen - 2)
        self._seen = len(self._buffer)
        return bool(_HEAD_END.search(self._buffer, start))

    def readline(self, size: int) -> bytes:
        """Up to and with the next LF, at most `size` bytes; less at the end."""
        while (end := self._buffer.find(b"\n", 0, size)) < 0 and len(self._buffer) < size:
            if not self._receive():
                break
        return self._take(end + 1 if end >= 0 else size)

    def read_some(self, size: int) -> bytes:
        """One to `size` bytes; none at the end."""
        if not self._buffer:
            self._receive()
        return self._take(size)

    def discard(self, size: int) -> bool:
        """Forget the next `size` bytes if they are here already."""
        if len(self._buffer) < size:
            return False
        self._take(size)
        return True

    def _take(self, size: int) -> bytes:
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        self._seen = 0
        return data

    def _receive(self) -> bool:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise Late("the request took too long")
        try:
            self._socket.settimeout(None if left == float("inf") else left)
            data = self._socket.recv(65536)
        except TimeoutError:
            raise Late("the request took too long") from None
        except OSError as error:
            raise Gone(type(error).__name__) from None
        self._buffer += data
        return bool(data)


class Writer:
    """What the client gets, unbuffered: an event is on its way when `write` returns."""

    def __init__(self, sock: socket.socket, stall_seconds: float) -> None:
        self._socket = sock
        self._stall_seconds = stall_seconds

    def write(self, data: bytes) -> None:
        """Send all of `data`; each part of it must be taken within the stall time.

        Raises:
            Gone: the client is not there, or does not read.
        """
        view = memoryview(data)
        try:
            self._socket.settimeout(self._stall_seconds)
            while view:
                view = view[self._socket.send(view) :]
        except OSError as error:
            raise Gone(type(error).__name__) from None
