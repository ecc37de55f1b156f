"""Answers of the server itself, before or instead of the application's: problem details, too."""

from __future__ import annotations

import json
from http import HTTPStatus

from admin.problem import MEDIA_TYPE, Problem

_CODES = {
    400: "bad-request",
    413: "request-entity-too-large",
    431: "request-header-fields-too-large",
    500: "internal",
    501: "not-implemented",
    503: "overloaded",
}
"""Stable, while the phrases of `HTTPStatus` change with Python's version."""


def refusal(status: int, *, body: bool = True) -> bytes:
    """A whole HTTP response that ends the connection.

    Args:
        status: HTTP status code, one of 400, 413, 431, 500, 501, 503.
        body: False for HEAD: the headers only.
    """
    phrase = HTTPStatus(status).phrase
    content = json.dumps(Problem(status, _CODES[status], phrase).body()).encode()
    headers = {
        "Content-Type": MEDIA_TYPE,
        "Content-Length": str(len(content)),
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "Connection": "close",
        **({"Retry-After": "1"} if status == HTTPStatus.SERVICE_UNAVAILABLE else {}),
    }
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{k}: {v}" for k, v in headers.items()), "", ""]
    return "\r\n".join(lines).encode() + (content if body else b"")
