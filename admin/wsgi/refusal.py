"""Answers of the server itself, before or instead of the application's: problem details, too."""

from __future__ import annotations

import json
from http import HTTPStatus

from admin.problem import MEDIA_TYPE, Problem

_CODES = {500: "internal", 503: "overloaded"}


def refusal(status: int, detail: str, *, body: bool = True) -> bytes:
    """A whole HTTP response that ends the connection.

    Args:
        status: HTTP status code.
        detail: one sentence; empty: the status's own phrase.
        body: False for HEAD: the headers only.
    """
    phrase = HTTPStatus(status).phrase
    code = _CODES.get(status, phrase.lower().replace(" ", "-"))
    problem = Problem(status, code, detail or phrase)
    content = json.dumps(problem.body()).encode()
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
