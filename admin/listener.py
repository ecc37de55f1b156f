"""One listening socket and its connections: one thread waits for all of them, a pool answers.

A connection gets a thread only when its headers are complete, so neither idle clients nor those
that drip headers hold one. Reading the headers costs this thread some microseconds per packet.
"""

from __future__ import annotations

import logging
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from admin.actor import Via
from admin.connection import Connection
from admin.limits import Limits
from admin.pool import Pool

_LOG = logging.getLogger("iac.admin")


class Listener:
    """Serves `app` on `sock`, which is bound and listens already.

    The attributes in the second group are what cheroot asks of a server.
    """

    protocol = "HTTP/1.1"
    ssl_adapter = None
    server_name = software = "iac"

    def __init__(
        self,
        app: Callable[..., Any],
        sock: socket.socket,
        *,
        via: Via,
        limits: Limits,
        max_threads: int,
    ) -> None:
        self.via: Via = via
        self.limits = limits
        self.pool: Pool[Connection, bool] = Pool(
            Connection.communicate,
            self._answered,
            name=f"iac-{via}",
            most=max_threads,
            idle_seconds=limits.thread_seconds,
        )
        self._socket = sock
        self._socket.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._waiting: dict[Connection, None] = {}  # oldest first
        self._calls: deque[Callable[[], None]] = deque()
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._next_complaint = 0.0
        self._open = True
        self._running = True
        self._thread = threading.Thread(target=self._loop, name=f"iac-{via}", daemon=True)

        self.wsgi_app = app
        self.bind_addr = sock.getsockname()[:2] if via == "http" else ("", "")
        self.max_request_header_size = limits.head_bytes
        self.max_request_body_size = limits.body_bytes
        self.timeout = int(limits.idle_seconds)

    @property
    def can_add_keepalive_connection(self) -> bool:
        """Whether a connection may stay open after its answer."""
        return self._open and len(self._waiting) < self.limits.waiting

    def start(self) -> None:
        """Begin to accept."""
        self._selector.register(self._socket, selectors.EVENT_READ, self._accept)
        self._selector.register(self._wake_out, selectors.EVENT_READ, self._woken)
        self._thread.start()

    def close(self, timeout: float) -> None:
        """Accept no more and let go of everybody who is not being answered."""
        closed = threading.Event()

        def close() -> None:
            self._open = False
            self._selector.unregister(self._socket)
            self._socket.close()
            for connection in [c for c in self._waiting if c.phase != "closing"]:
                self._drop(connection)
            closed.set()

        self._call(close)
        closed.wait(timeout)

    def halt(self, timeout: float) -> bool:
        """Cut off who is still being answered; True if no thread is left after `timeout`."""
        for connection in self.pool.busy:
            connection.cut()
        ended = self.pool.close(timeout)

        def halt() -> None:
            self._running = False

        self._call(halt)
        self._thread.join(timeout)
        return ended and not self._thread.is_alive()

    def _call(self, function: Callable[[], None]) -> None:
        """Have the listener's own thread do it."""
        self._calls.append(function)
        with suppress(OSError):  # full: it wakes up anyway; closed: it has ended
            self._wake_in.send(b"\0")

    def _loop(self) -> None:
        next_look = 0.0
        while self._running:
            for key, _ in self._selector.select(self.limits.tick):
                self._guard(key.data)
            while self._calls:
                self._guard(self._calls.popleft())
            if (now := time.monotonic()) >= next_look:
                next_look = now + self.limits.tick
                self._guard(lambda: self._expire(now))
        for connection in list(self._waiting):
            self._drop(connection)
        self._selector.close()
        self._wake_in.close()
        self._wake_out.close()

    def _guard(self, function: Callable[[], None]) -> None:
        """This thread has to survive whatever one connection does to it."""
        try:
            function()
        except Exception as error:
            _LOG.error("%s in the listener", type(error).__name__, exc_info=True)

    def _woken(self) -> None:
        self._wake_out.recv(4096)

    def _accept(self) -> None:
        for _ in range(64):  # then the others have their turn
            if not self._open:
                return
            try:
                sock, address = self._socket.accept()
            except BlockingIOError:
                return
            except ConnectionError:
                continue
            except OSError as error:
                self._make_room(error)
                return
            self._greet(sock, address)

    def _make_room(self, error: OSError) -> None:
        """Out of file descriptors: the client still knocks, so give one back and do not spin."""
        if (now := time.monotonic()) >= self._next_complaint:
            self._next_complaint = now + 10
            _LOG.error("cannot accept connections: %s", error.strerror)
        if self._waiting:
            self._drop(next(iter(self._waiting)))
        time.sleep(0.02)

    def _greet(self, sock: socket.socket, address: Any) -> None:
        sock.setblocking(False)
        if self.via == "http":
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            connection = Connection(self, sock, address)
        except OSError:
            sock.close()
            return
        if len(self._waiting) >= self.limits.waiting:
            # An honest head is complete within a round or two; the oldest is not one.
            self._drop(next(iter(self._waiting)))
        self._await(connection)

    def _await(self, connection: Connection) -> None:
        self._waiting[connection] = None
        self._selector.register(
            connection.socket, selectors.EVENT_READ, lambda: self._received(connection)
        )

    def _release(self, connection: Connection) -> None:
        del self._waiting[connection]
        self._selector.unregister(connection.socket)

    def _drop(self, connection: Connection) -> None:
        self._release(connection)
        connection.close()

    def _received(self, connection: Connection) -> None:
        if connection not in self._waiting:
            return  # dropped by an event of the same round
        if connection.phase == "closing":
            if not connection.drop_input():
                self._drop(connection)
            return
        if not connection.rfile.fill():
            self._drop(connection)
            return
        if connection.phase == "idle":
            connection.expect("head", self.limits.head_seconds)
        if self._is_ready(connection):
            self._release(connection)
            self._submit(connection)

    def _is_ready(self, connection: Connection) -> bool:
        """A head that is too large is ready as well: for its refusal."""
        reader = connection.rfile
        return reader.has_head() or len(reader) > self.limits.head_bytes

    def _submit(self, connection: Connection) -> None:
        connection.phase = "busy"
        if not self.pool.submit(connection):
            connection.refuse(503, "all threads are busy; try again")
            self._linger(connection)

    def _answered(self, connection: Connection, keep: bool | None) -> None:
        """Called in a worker's thread."""
        self._call(lambda: self._take_back(connection, bool(keep)))
        if not self._thread.is_alive():
            connection.close()

    def _take_back(self, connection: Connection, keep: bool) -> None:
        if not keep or not self._open:
            self._linger(connection)
            return
        connection.socket.setblocking(False)
        if len(connection.rfile) == 0:
            connection.expect("idle", self.limits.idle_seconds)
            self._await(connection)
            return
        connection.expect("head", self.limits.head_seconds)
        if self._is_ready(connection):
            self._submit(connection)
        else:
            self._await(connection)

    def _linger(self, connection: Connection) -> None:
        if connection.finish_sending():
            connection.expect("closing", self.limits.linger_seconds)
            self._await(connection)
        else:
            connection.close()

    def _expire(self, now: float) -> None:
        for connection in [c for c in self._waiting if c.deadline <= now]:
            if connection.phase == "head" and len(connection.rfile):
                connection.refuse(408, "the headers took too long")
                self._release(connection)
                self._linger(connection)
            else:
                self._drop(connection)
