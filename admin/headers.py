"""The head of a request, strictly: what two readers could understand differently is an error.

It knows nothing of sockets; cheroot's own reader strips names, takes folded lines and lets the last
of two equal headers win.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

Headers = dict[bytes, bytes]

_SINGLE = frozenset(
    (b"Authorization", b"Content-Length", b"Content-Type", b"Host", b"Idempotency-Key",
     b"Last-Event-Id", b"Origin", b"Transfer-Encoding")
)  # fmt: skip
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*\r\n")
_TARGET = rb"/(?:[\x21\x22\x24-\x2e\x30-\x7e][\x21\x22\x24-\x7e]*)?"
_REQUEST_LINE = re.compile(rb"([A-Z][A-Z-]{0,19}) (" + _TARGET + rb") HTTP/1\.([01])\r\n")
_OTHER_VERSION = re.compile(rb"\S+ \S+ HTTP/(?!1\.[01]\r)[0-9.]+\r\n")


class BadRequest(ValueError):  # noqa: N818 - an answer
    """The head is wrong; `status` is the answer. The message never quotes the request."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class RequestLine:
    """``GET /path?query HTTP/1.1``; the version is 1.0 or 1.1."""

    method: bytes
    target: bytes
    version: bytes


@dataclass(frozen=True)
class Framing:
    """How long the body is, and whether the connection goes on after it."""

    length: int
    chunked: bool
    keep_alive: bool


def parse_request_line(line: bytes) -> RequestLine:
    """The request line, in origin form only (no proxy's forms, no ``*``, no ``//host``).

    Raises:
        BadRequest: it is anything else.
    """
    match = _REQUEST_LINE.fullmatch(line)
    if match:
        return RequestLine(match[1], match[2], b"HTTP/1." + match[3])
    if _OTHER_VERSION.fullmatch(line):
        raise BadRequest(505, "only HTTP/1.0 and HTTP/1.1 are spoken here")
    raise BadRequest(400, "the request line is not METHOD /path HTTP/1.1 ended by CRLF")


def read_headers(readline: Callable[[], bytes]) -> Headers:
    """Header names (``Title-Case``) and values up to the empty line.

    Names with an underscore are left out: WSGI could not tell them from those with a hyphen.
    ``Proxy`` is left out as well: as HTTP_PROXY it would name a proxy to some programs.

    Raises:
        BadRequest: a line is not ``Name: value`` ended by CRLF, or is there twice when only one
            makes sense.
    """
    headers: Headers = {}
    while (line := readline()) != b"\r\n":
        match = _FIELD.fullmatch(line)
        if not match:
            raise BadRequest(400, "a header line is not 'Name: value' ended by CRLF")
        name, value = match[1].title(), match[2]
        if b"_" in name or name == b"Proxy":
            continue
        if name in headers:
            if name in _SINGLE:
                raise BadRequest(400, f"more than one {name.decode()} header")
            value = headers[name] + (b"; " if name == b"Cookie" else b", ") + value
        headers[name] = value
    return headers


def framing(headers: Headers, version: bytes, most: int) -> Framing:
    """What the headers say about the body.

    Raises:
        BadRequest: no Host in HTTP/1.1, a bad length or one above `most` bytes, two ways to tell
            the length, an unknown coding.
    """
    old = version == b"HTTP/1.0"
    if b"Host" not in headers and not old:
        raise BadRequest(400, "no Host header")
    length = headers.get(b"Content-Length")
    if length is not None and not re.fullmatch(rb"[0-9]{1,12}", length):
        raise BadRequest(400, "Content-Length is not a number")
    if int(length or 0) > most:
        raise BadRequest(413, "the body is too large")
    coding = headers.get(b"Transfer-Encoding")
    if coding is not None:
        if length is not None or old:
            raise BadRequest(400, "Transfer-Encoding beside Content-Length or in HTTP/1.0")
        if coding.lower() != b"chunked":
            raise BadRequest(501, "the only transfer coding is chunked")
    options = {item.strip() for item in headers.get(b"Connection", b"").lower().split(b",")}
    keep_alive = b"keep-alive" in options if old else b"close" not in options
    return Framing(int(length or 0), coding is not None, keep_alive)
