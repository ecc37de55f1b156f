"""The body of a request as a file: of known length or in chunks, within its bounds."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

from admin.headers import BadRequest
from admin.wire import Late, Reader

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class BrokenBody(OSError):  # noqa: N818 - says what it is
    """The body did not come as announced; frameworks take it for a client that went away."""


class Body(io.RawIOBase):
    """A body; `failure` is set once it is known to be broken.

    The application may turn the exception into an answer of its own; the server knows better and
    answers with the failure instead.
    """

    failure: BadRequest | None = None

    def __init__(self, source: Reader) -> None:
        super().__init__()
        self._source = source

    def readable(self) -> bool:  # noqa: D102 - io's own
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:  # noqa: D102 - io's own
        view = memoryview(buffer).cast("B")
        try:
            data = self._some(len(view))
        except BadRequest as error:
            self.failure = error
        except Late:
            self.failure = BadRequest(408, "the body took too long")
        if self.failure:
            raise BrokenBody(str(self.failure))
        view[: len(data)] = data
        return len(data)

    def finish(self) -> bool:
        """Whether nothing of it is left on the wire, so that another request can follow."""
        raise NotImplementedError

    def _some(self, size: int) -> bytes:
        raise NotImplementedError

    def _exactly_some(self, size: int) -> bytes:
        data = self._source.read_some(size)
        if not data:
            raise BadRequest(400, "the body ended early")
        return data


class SizedBody(Body):
    """With a Content-Length."""

    def __init__(self, source: Reader, length: int) -> None:
        super().__init__(source)
        self._left = length

    def finish(self) -> bool:  # noqa: D102
        if self._source.discard(self._left):
            self._left = 0
        return self._left == 0

    def _some(self, size: int) -> bytes:
        if self._left == 0:
            return b""
        data = self._exactly_some(min(size, self._left))
        self._left -= len(data)
        return data


class ChunkedBody(Body):
    """In chunks (RFC 9112, 7.1); extensions and trailers are read and forgotten."""

    def __init__(self, source: Reader, most: int) -> None:
        super().__init__(source)
        self._most = most
        self._left = 0
        self._ended = False

    def finish(self) -> bool:  # noqa: D102
        return self._ended

    def _some(self, size: int) -> bytes:
        if self._left == 0 and not self._ended:
            self._begin_chunk()
        if self._ended:
            return b""
        data = self._exactly_some(min(size, self._left))
        self._left -= len(data)
        if self._left == 0 and self._line() != b"\r\n":
            raise BadRequest(400, "a chunk does not end with CRLF")
        return data

    def _begin_chunk(self) -> None:
        match = re.fullmatch(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?\r\n", self._line())
        if not match:
            raise BadRequest(400, "a chunk does not begin with its size")
        self._left = int(match[1], 16)
        self._spend(self._left)
        if self._left == 0:
            while self._line() != b"\r\n":
                pass
            self._ended = True

    def _line(self) -> bytes:
        line = self._source.readline(1024)
        self._spend(len(line))
        if not line.endswith(b"\r\n"):
            raise BadRequest(400, "a line of the chunked body is too long or not ended by CRLF")
        return line

    def _spend(self, size: int) -> None:
        """Sizes, extensions and trailers count as well: they cost reading."""
        self._most -= size
        if self._most < 0:
            raise BadRequest(413, "the body is too large")
