"""The HTTP server of the admin API: a loopback port and a Unix socket, the same application.

It knows nothing of what is served. aiohttp: an event loop in a thread of its own reads and writes.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import socket as socket_module
import threading
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from aiohttp import web

from admin.wsgi.bridge import Application, Bridge
from admin.wsgi.limits import ListenerLimits
from admin.wsgi.refusal import Connection
from admin.wsgi.sockets import UnixSocket, bind_tcp

_LOG = logging.getLogger("iac.admin")
_CUT_SECONDS = 1.0  # for threads whose connections have been cut: none of them waits for a client
_MOMENT = 0.05  # seconds; zero would mean "for ever" to aiohttp
_LINE_BYTES = 16 * 1024  # of the request line, and of one header: tokens may be 8 KiB
_HEADERS = 64  # lines; the limit in bytes counts once all are there
_RESERVED_FILES = 256  # for jobs, event logs, clients of the auth server
_FILES_OF_A_CONNECTION = 2  # itself, and a large body
_FILES_OF_A_REQUEST = 2  # of the engine's, when it follows logs


class HttpServer:
    """Serves `app` in background threads on `bind` and `socket`; either may be None.

    The application finds in its WSGI environment ``iac.via`` ("http" or "socket") and, on the
    socket, ``iac.peer`` (a `PeerProcess`). After `start`, `address` holds the real port and
    `socket` the path.

    Args:
        bind: loopback host and port; port 0 takes a free one.
        socket: absolute path of the Unix socket, see
            `iac_wrapper.settings.admin_socket`.
        limits: bounds of each of the two; tests use tiny ones.
    """

    def __init__(
        self,
        app: Application,
        *,
        bind: tuple[str, int] | None,
        socket: Path | None,
        limits: ListenerLimits | None = None,
    ) -> None:
        self._app = app
        self._limits = limits or ListenerLimits()
        self._bridges: list[Bridge] = []
        self._unix: UnixSocket | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stopping = asyncio.Event()
        self._timeout = 0.0
        self.address: tuple[str, int] | None = bind
        self.socket: Path | None = socket

    def start(self) -> None:
        """Bind both, then serve.

        Raises:
            ConfigError: one of them cannot be bound; then the other is not either.
        """
        sockets = []
        with ExitStack() as undo:
            if self.address is not None:
                sockets.append(undo.enter_context(bind_tcp(self.address)))
                self.address = sockets[0].getsockname()[:2]
            if self.socket is not None:
                self._unix = UnixSocket(self.socket)
                sockets.append(self._unix.socket)
            undo.pop_all()
        _raise_file_limit(len(sockets), self._limits)
        logging.getLogger("aiohttp").setLevel(logging.CRITICAL)  # it logs what clients send
        ready = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(sockets, ready)), name="iac-http", daemon=True
        )
        self._thread.start()
        ready.wait()

    def stop(self, timeout: float) -> bool:
        """Stop accepting, let requests in flight end, cut off those that have not after `timeout`.

        Streams go on until the application ends them or the time is over. Returns at most about
        three seconds after `timeout`: whether the application has let go of all threads. Those that
        it has not hold the interpreter until it does.
        """
        if self._thread is None or self._loop is None:
            return True
        if self._unix is not None:
            self._unix.unlink()  # before the socket closes: nobody finds a path that refuses
        self._timeout = timeout
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(timeout + _CUT_SECONDS)
        left = sum(not bridge.close(_CUT_SECONDS) for bridge in self._bridges)
        if left:
            _LOG.warning("some requests did not end in %g s and were abandoned", timeout)
        if self._unix is not None:
            self._unix.close()
        self._unix = self._thread = None
        return not left

    async def _serve(self, sockets: list[socket_module.socket], ready: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._bridges = [Bridge(self._app, self._limits, self._stopping) for _ in sockets]
        servers = [web.Server(bridge.handle) for bridge in self._bridges]
        listeners = [
            await self._loop.create_server(partial(self._connection, server), sock=sock)
            for server, sock in zip(servers, sockets, strict=True)
        ]
        ready.set()
        await self._stopping.wait()
        for listener in listeners:
            listener.close()
        await asyncio.gather(*(_close(server, self._timeout) for server in servers))

    def _connection(self, server: web.Server) -> asyncio.Protocol:
        if len(server.connections) >= self._limits.connections:
            return _Full()
        return Connection(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=self._limits.wait_seconds,
            lingering_time=self._limits.linger_seconds,
            max_line_size=_LINE_BYTES,
            max_field_size=_LINE_BYTES,
            max_headers=_HEADERS,
            auto_decompress=False,
        )


class _Full(asyncio.Protocol):
    """What a connection too many gets."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Close it without a word."""
        transport.close()


async def _close(server: web.Server, timeout: float) -> None:
    """Close idle connections at once, after `timeout` seconds all others, too."""
    server.pre_shutdown()
    try:
        async with asyncio.timeout(timeout):
            await server.shutdown(timeout + _CUT_SECONDS)
    except TimeoutError:
        await server.shutdown(_MOMENT)


def _raise_file_limit(listeners: int, limits: ListenerLimits) -> None:
    """Raise this process's soft limit of open files to what all connections can need."""
    each = _FILES_OF_A_CONNECTION * limits.connections + _FILES_OF_A_REQUEST * limits.requests
    wanted = listeners * each + _RESERVED_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < wanted:
        _LOG.warning(
            "%d open files are allowed; %d requests and streams at once may need %d",
            allowed,
            limits.requests,
            wanted,
        )
