"""Errors of the API as RFC 9457 problem details, and what each kind is over HTTP and gRPC."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from iac_wrapper.errors import IacError, ProblemKind

MEDIA_TYPE = "application/problem+json"

STATUS: Mapping[ProblemKind, tuple[int, str]] = {
    "busy": (409, "ABORTED"),
    "unprocessable": (422, "INVALID_ARGUMENT"),
    "engine-unreachable": (503, "UNAVAILABLE"),
    "internal": (500, "INTERNAL"),
}
"""The statuses of our own errors: HTTP's number and gRPC's name."""


class Problem(Exception):  # noqa: N818 - RFC 9457 calls it a problem
    """An answer that is an error.

    Args:
        status: HTTP status code.
        code: what kind of problem, stable: the last part of its type URI.
        detail: one sentence for people.
        headers: more response headers (``Retry-After``, ``WWW-Authenticate``).
        extra: more members of the body, such as ``found``, ``expected``, ``next_step``.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = dict(headers or {})
        self.extra = {name: value for name, value in extra.items() if value is not None}

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Problem:
        """The inverse of `body`."""
        known = {"type", "title", "status", "detail"}
        code = str(body["type"]).rpartition(":")[2]
        extra = {name: value for name, value in body.items() if name not in known}
        return cls(body["status"], code, body["detail"], **extra)

    def body(self) -> dict[str, Any]:
        """The JSON body."""
        return {
            "type": f"urn:karstkit:problem:{self.code}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            **self.extra,
        }


def not_serving(detail: str, *, found: str | None = None) -> Problem:
    """The server is about to begin or to end; the next one answers soon."""
    return Problem(503, "not-serving", detail, found=found, headers={"Retry-After": "1"})


def from_error(error: IacError) -> Problem:
    """One of our errors as a problem; the facts a person needs become members."""
    status, _ = STATUS[error.problem]
    return Problem(
        status,
        error.problem,
        error.message,
        where=error.where,
        found=error.found,
        expected=error.expected,
        next_step=error.next_step,
        retryable=error.retryable or None,
    )
