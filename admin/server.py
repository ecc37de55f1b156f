"""The HTTP server of the admin API: a loopback port and a Unix socket, the same application.

It knows nothing of what is served. Threads, because the operations block; see `admin.listener` for
how thousands of connections do without one each.
"""

from __future__ import annotations

import logging
import resource
import socket as socket_module
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from admin.actor import Via
from admin.limits import Limits
from admin.listener import Listener
from admin.sockets import UnixSocket, bind_tcp

_LOG = logging.getLogger("iac.admin")
_RESERVED_FILES = 256  # for jobs, event logs, clients of the engine and of the auth server
_CUT_SECONDS = 1.0  # for threads whose sockets have been cut: none of them waits for a client


class Server:
    """Serves `app` in background threads on `bind` and `socket`; either may be None.

    The application finds ``iac.via`` ("http" or "socket") and, on the socket, ``iac.peer`` (a
    `Peer`) in its WSGI environment. After `start`, `address` holds the real port and `socket` the
    path.

    Args:
        bind: loopback host and port; port 0 takes a free one.
        socket: absolute path of the Unix socket, see `admin.sockets.default_socket`.
        max_threads: requests and streams at once, for each of the two; one more gets a 503.
        limits: bounds per client; tests use tiny ones.
    """

    def __init__(
        self,
        app: Callable[..., Any],
        *,
        bind: tuple[str, int] | None,
        socket: Path | None,
        max_threads: int = 1200,
        limits: Limits | None = None,
    ) -> None:
        self._app = app
        self._max_threads = max_threads
        self._limits = limits or Limits()
        self._listeners: list[Listener] = []
        self._unix: UnixSocket | None = None
        self.address: tuple[str, int] | None = bind
        self.socket: Path | None = socket

    def start(self) -> None:
        """Bind both, then serve.

        Raises:
            ConfigError: one of them cannot be bound; then the other is not either.
        """
        with ExitStack() as undo:
            tcp = None
            if self.address is not None:
                tcp = bind_tcp(self.address)
                undo.callback(tcp.close)
            if self.socket is not None:
                self._unix = UnixSocket(self.socket)
            undo.pop_all()
        self._make_room()
        if tcp is not None:
            self.address = tcp.getsockname()[:2]
            self._listen(tcp, "http")
        if self._unix is not None:
            self._listen(self._unix.socket, "socket")

    def stop(self, timeout: float) -> None:
        """Stop accepting, let requests in flight end, cut off those that have not after `timeout`.

        Streams go on until the application ends them or the time is over. Returns at most about
        two seconds after `timeout`; threads that are still in the application then are daemons.
        """
        end = time.monotonic() + timeout
        if self._unix is not None:
            self._unix.unlink()  # before the socket closes: nobody finds a path that refuses
        for listener in self._listeners:
            listener.close(_CUT_SECONDS)
        for listener in self._listeners:
            listener.pool.wait(max(0.0, end - time.monotonic()))
        ended = [listener.halt(_CUT_SECONDS) for listener in self._listeners]
        if not all(ended):
            _LOG.warning("some requests did not end in %g s and were abandoned", timeout)
        if self._unix is not None:
            self._unix.close()
        self._listeners, self._unix = [], None

    def _listen(self, sock: socket_module.socket, via: Via) -> None:
        listener = Listener(
            self._app, sock, via=via, limits=self._limits, max_threads=self._max_threads
        )
        listener.start()
        self._listeners.append(listener)

    def _make_room(self) -> None:
        """Raise this process's soft limit of open files to what all connections can need."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        need = 2 * (self._max_threads + self._limits.waiting) + _RESERVED_FILES
        if soft != resource.RLIM_INFINITY and soft < need:
            allowed = need if hard == resource.RLIM_INFINITY else min(need, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
            if allowed < need:
                _LOG.warning("%d open files are allowed, %d may be needed", allowed, need)
