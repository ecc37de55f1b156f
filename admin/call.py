"""One request, read and checked: what a handler gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import Request
from werkzeug.exceptions import RequestEntityTooLarge

from admin.actor import Actor
from admin.backend import Backend
from admin.problem import Problem
from admin.streams import Streams

MAX_BODY_BYTES = 2**20
"""1 MiB: 500 entries with some environment need a tenth of it."""


def data_of(request: Request) -> bytes:
    """The body as it came.

    Raises:
        RequestEntityTooLarge: it is too large. Werkzeug cuts a chunked body off at its own limit
            without a word, so that limit is one byte more.
    """
    data = request.get_data()
    if len(data) > MAX_BODY_BYTES:
        raise RequestEntityTooLarge
    return data


@dataclass(frozen=True)
class Call:
    """A request that fits the OpenAPI document.

    `actor` is None only for public operations and signed ones. `parameters` are the values of path,
    query and header parameters by name, `body` the JSON body (None without one).
    """

    backend: Backend
    streams: Streams
    request: Request
    actor: Actor | None
    parameters: Mapping[str, Any]
    body: Any

    @property
    def caller(self) -> Actor:
        """The actor of an operation that needs one."""
        assert self.actor is not None  # noqa: S101 - the document's x-access says so
        return self.actor

    @property
    def project(self) -> str:
        """The project that is meant: the parameter, the body's, or the server's own."""
        body = self.body if isinstance(self.body, dict) else {}
        chosen = self.parameters.get("project") or body.get("project")
        return chosen or self.backend.settings.project

    def check_room(self) -> None:
        """Refuse one stream too many.

        Raises:
            Problem: 503.
        """
        self.streams.check_room()

    def media(self, *offered: str) -> str:
        """Which of the offered media types the client likes best; the first if it does not care.

        Raises:
            Problem: 406.
        """
        if not self.request.accept_mimetypes:
            return offered[0]
        best = self.request.accept_mimetypes.best_match(offered)
        if best is None:
            raise Problem(
                406,
                "not-acceptable",
                "the answer cannot be given in a form that Accept names",
                found=str(self.request.accept_mimetypes)[:200],
                expected=", ".join(offered),
            )
        return best
