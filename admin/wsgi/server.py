"""The HTTP server of the admin API: a loopback port and a Unix socket, the same application.

It knows nothing of what is served. Waitress: one thread waits for all connections, others call the
application, because the operations block.
"""

from __future__ import annotations

import errno
import logging
import resource
import socket as socket_module
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.server import TcpWSGIServer

from admin.wsgi.channel import Channel
from admin.wsgi.limits import Limits
from admin.wsgi.sockets import UnixSocket, bind_tcp
from admin.wsgi.threads import Threads

_LOG = logging.getLogger("iac.admin")
_RESERVED_FILES = 256  # for jobs, event logs, clients of the auth server
_FILES_OF_A_REQUEST = 3  # its connection, and two of the engine's when it follows logs
_FILES_OF_A_WAITING_ONE = 2  # a body that is not complete yet may be in a file
_BREATH_SECONDS = 0.01
_CUT_SECONDS = 1.0  # for threads whose sockets have been cut: none of them waits for a client
_BUFFER = 64 * 1024  # bytes kept in memory for one connection; larger bodies go to a file


class _Listener(TcpWSGIServer):
    """One listening socket and its connections."""

    channel_class = Channel
    accepting: bool
    limits: Limits

    def getsockname(self) -> tuple[str, int]:
        """For SERVER_NAME and SERVER_PORT only."""
        name = self.socket.getsockname()
        return ("localhost", 0) if isinstance(name, str) else name[:2]

    def fix_addr(self, addr: Any) -> Any:
        """A Unix socket's clients have no address, or a path of their own."""
        return addr if isinstance(addr, tuple) else ("", 0)

    def set_socket_options(self, conn: socket_module.socket) -> None:
        """No delay where there is one."""
        if conn.family != socket_module.AF_UNIX:
            super().set_socket_options(conn)

    def handle_accept(self) -> None:
        """Take a newcomer; when there is no room, who has waited longest goes."""
        if len(self.active_channels) >= self.task_dispatcher.most + self.limits.waiting:
            self._make_way()
        super().handle_accept()

    def accept(self) -> Any:
        """Accept; without a free descriptor the newcomer waits, and not in a busy loop."""
        try:
            return super().accept()
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE):
                raise
            if not self._make_way():
                time.sleep(_BREATH_SECONDS)
            return None

    def _make_way(self) -> bool:
        waiting = [each for each in list(self.active_channels.values()) if not each.requests]
        if waiting:
            min(waiting, key=lambda each: each.since).handle_close()
        return bool(waiting)

    def handle_error(self) -> None:
        """A connection that cannot be accepted; waitress would stop to listen."""
        _LOG.error("cannot accept: %s", type(sys.exception()).__name__)

    def maintenance(self, now: float) -> None:
        """Cut off clients that take too long; waitress calls this between two waits."""
        for channel in list(self.active_channels.values()):
            if channel.overdue(now, self.limits):
                channel.handle_close()
        self.task_dispatcher.shrink(now)

    def cut(self, *, busy: bool) -> None:
        """Accept no more; close the connections without a request, and with one if `busy`."""
        if self.accepting:
            self.accepting = False
            wasyncore.dispatcher.close(self)
        for channel in list(self.active_channels.values()):
            if busy or not (channel.requests or channel.total_outbufs_len):
                channel.handle_close()


class Server:
    """Serves `app` in background threads on `bind` and `socket`; either may be None.

    The application finds in its WSGI environment ``iac.via`` ("http" or "socket"), ``iac.threads``
    (how many requests it may hold at once) and, on the socket, ``iac.peer`` (a `Peer`). After
    `start`, `address` holds the real port and `socket` the path.

    Args:
        bind: loopback host and port; port 0 takes a free one.
        socket: absolute path of the Unix socket, see `admin.wsgi.sockets.default_socket`.
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
        self._listeners: list[_Listener] = []
        self._map: dict[int, Any] = {}
        self._unix: UnixSocket | None = None
        self._ended = threading.Event()
        self._loop = threading.Thread(target=self._run, name="iac-http", daemon=True)
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
        logging.getLogger("waitress").setLevel(logging.CRITICAL)  # it logs what clients send
        if tcp is not None:
            self.address = tcp.getsockname()[:2]
            self._listen(tcp)
        if self._unix is not None:
            self._listen(self._unix.socket)
        self._loop.start()

    def stop(self, timeout: float) -> None:
        """Stop accepting, let requests in flight end, cut off those that have not after `timeout`.

        Streams go on until the application ends them or the time is over. Returns at most about
        two seconds after `timeout`; threads that are still in the application then are daemons.
        """
        if not self._loop.is_alive():
            return
        end = time.monotonic() + timeout
        if self._unix is not None:
            self._unix.unlink()  # before the socket closes: nobody finds a path that refuses
        self._cut(busy=False)
        while any(each.active_channels for each in self._listeners) and time.monotonic() < end:
            time.sleep(0.01)
            self._cut(busy=False)
        self._cut(busy=True)
        for listener in self._listeners:
            listener.task_dispatcher.shutdown(timeout=_CUT_SECONDS)
        self._ended.set()
        self._listeners[0].pull_trigger()
        self._loop.join(_CUT_SECONDS)
        if any(each.task_dispatcher.threads for each in self._listeners):
            _LOG.warning("some requests did not end in %g s and were abandoned", timeout)
        else:  # an abandoned thread may still write to it
            for listener in self._listeners:
                listener.trigger.close()
        if self._unix is not None:
            self._unix.close()
        self._listeners, self._unix = [], None

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                wasyncore.poll2(self._limits.tick, self._map)
            except Exception as error:
                _LOG.error("the server goes on after %s", type(error).__name__)

    def _cut(self, *, busy: bool) -> None:
        """In the loop's thread, which is the only one that may."""
        done = threading.Event()

        def cut() -> None:
            for listener in self._listeners:
                listener.cut(busy=busy)
            done.set()

        self._listeners[0].trigger.pull_trigger(cut)
        done.wait(_CUT_SECONDS)

    def _listen(self, sock: socket_module.socket) -> None:
        limits = self._limits
        adj = Adjustments(
            ident="iac",
            clear_untrusted_proxy_headers=False,  # the application knows whom to trust
            max_request_header_size=limits.head_bytes,
            max_request_body_size=limits.body_bytes,
            inbuf_overflow=_BUFFER,
            outbuf_high_watermark=_BUFFER,
            channel_request_lookahead=1,  # to notice at once that a reader has left
            connection_limit=10**9,  # see handle_accept
            log_socket_errors=False,
        )
        adj.cleanup_interval = limits.tick
        listener = _Listener(
            self._app, self._map, True, sock, bind_socket=False, adj=adj,
            dispatcher=Threads(self._max_threads, limits.thread_seconds),
            sockinfo=(sock.family, sock.type, sock.proto, sock.getsockname()),
        )  # fmt: skip
        listener.limits = limits
        self._listeners.append(listener)

    def _make_room(self) -> None:
        """Raise this process's soft limit of open files to what all connections can need.

        If it cannot go as high, there will be fewer connections: better a `503` than no files.
        """
        threads, waiting = self._max_threads, self._limits.waiting
        need = 2 * (_FILES_OF_A_REQUEST * threads + _FILES_OF_A_WAITING_ONE * waiting)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = need + _RESERVED_FILES
        allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        if soft != resource.RLIM_INFINITY and soft < allowed:
            resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
        part = max(0.01, (allowed - _RESERVED_FILES) / need)
        if part < 1:
            self._max_threads = max(1, int(threads * part))
            self._limits = replace(self._limits, waiting=max(1, int(waiting * part)))
            _LOG.warning(
                "%d open files are allowed: %d requests and streams at once instead of %d",
                allowed, self._max_threads, threads,
            )  # fmt: skip
