"""Answers of the server itself, before or instead of the application's: problem details, too."""

from __future__ import annotations

import json
from http import HTTPStatus

from admin.problem import MEDIA_TYPE, Problem

_CODES = {
    400: ("bad-request", "this is not HTTP/1.1 as every reader would read it"),
    413: ("request-entity-too-large", "the body is too large"),
    431: ("request-header-fields-too-large", "the request line and the headers are too large"),
    500: ("internal", "something unforeseen happened; the server's log has it"),
    501: ("not-implemented", "no transfer coding but chunked is known here"),
    503: ("overloaded", "all threads are busy; try again"),
}
"""Codes are stable, while the phrases of `HTTPStatus` change with Python's version."""


def refusal(status: int, *, body: bool = True) -> bytes:
    """A whole HTTP response that ends the connection.

    Args:
        status: HTTP status code, one of 400, 413, 431, 500, 501, 503.
        body: False for HEAD: the headers only.
    """
    content = json.dumps(Problem(status, *_CODES[status]).body(), separators=(",", ":")).encode()
    headers = {
        "Content-Type": MEDIA_TYPE,
        "Content-Length": str(len(content)),
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "Connection": "close",
        **({"Retry-After": "1"} if status == HTTPStatus.SERVICE_UNAVAILABLE else {}),
    }
    lines = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        *(f"{k}: {v}" for k, v in headers.items()),
        "",
        "",
    ]
    return "\r\n".join(lines).encode() + (content if body else b"")
