"""Starts and ends servers of the standard library."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from socketserver import BaseServer
from threading import Thread
from types import TracebackType
from typing import Self

_POLL_SECONDS = 0.01
"""How soon a server notices that it shall end."""


@contextmanager
def running(server: BaseServer) -> Iterator[None]:
    """Serve from a thread while the block runs, then close the server."""
    thread = Thread(target=server.serve_forever, args=(_POLL_SECONDS,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Running:
    """What serves over HTTP as long as its context is open."""

    def __init__(self, http: BaseServer) -> None:
        self._http = http
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._stack.enter_context(running(self._http))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()
