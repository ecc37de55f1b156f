"""Answers of the server itself, before or instead of the application's: problem details, too."""

from __future__ import annotations

import json
from http import HTTPStatus

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from admin.problem import MEDIA_TYPE, Problem

_CODES = {
    400: ("bad-request", "this is not HTTP/1.1, or two servers could read it differently"),
    408: ("request-timeout", "the body did not arrive in time"),
    413: ("request-entity-too-large", "the body is too large"),
    431: ("request-header-fields-too-large", "the request line and the headers are too large"),
    500: ("internal", "an unexpected error occurred; the server's log has it"),
    503: ("overloaded", "all threads are busy; try again"),
}
"""Codes are stable, while the phrases of `HTTPStatus` change with Python's version."""


def refusal(status: int) -> web.Response:
    """An answer that ends the connection.

    Args:
        status: HTTP status code, one of 400, 408, 413, 431, 500, 503.
    """
    headers = {
        "Content-Type": MEDIA_TYPE,
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "Server": "iac",
        **({"Retry-After": "1"} if status == HTTPStatus.SERVICE_UNAVAILABLE else {}),
    }
    content = json.dumps(Problem(status, *_CODES[status]).body(), separators=(",", ":"))
    answer = web.Response(status=status, body=content.encode(), headers=headers)
    answer.force_close()
    return answer


class Connection(web.RequestHandler):
    """A connection that answers what is no request by a problem, and logs nothing of it."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        _message: str | None = None,
    ) -> web.StreamResponse:
        """What to answer; nothing if an answer has begun.

        Raises:
            ConnectionError: one has; the connection is to be closed.
        """
        if request.writer.output_size:
            raise ConnectionResetError
        return refusal(431 if isinstance(exc, LineTooLong) else status)
