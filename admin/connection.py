"""A client's connection: its socket, who is there, and the requests on it one after the other."""

from __future__ import annotations

import logging
import socket
import time
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal

from admin.actor import Via
from admin.body import BrokenBody
from admin.exchange import Exchange
from admin.limits import Limits
from admin.peer import Peer
from admin.refusal import refusal
from admin.wire import Gone, Reader, Writer

if TYPE_CHECKING:
    from admin.listener import Listener

_LOG = logging.getLogger("iac.admin")

Phase = Literal["head", "idle", "busy", "closing"]


class Connection:
    """One accepted socket. Owned by the listener's thread, or by one worker while `busy`.

    `phase` says what is awaited: the rest of the headers, the next request, the application, or
    the client's reading of a last answer. `deadline` (monotonic seconds) is when that has to end.
    The attributes in the second group are what cheroot asks of a connection.
    """

    def __init__(self, server: Listener, sock: socket.socket, address: Any) -> None:
        self.server = server
        self.via: Via = server.via
        self.peer: Peer | None = Peer.of(sock) if server.via == "socket" else None
        self.limits: Limits = server.limits
        self.phase: Phase = "head"
        self.deadline = time.monotonic() + self.limits.head_seconds

        self.socket = sock
        self.rfile = Reader(sock)
        self.wfile = Writer(sock, self.limits.send_seconds)
        self.ssl_env: dict[str, str] = {}
        self.remote_addr: str = address[0] if server.via == "http" else ""
        self.remote_port: int | str = address[1] if server.via == "http" else ""

    def expect(self, phase: Phase, seconds: float) -> None:
        """From now on `phase` is awaited, for so long."""
        self.phase = phase
        self.deadline = time.monotonic() + seconds

    def communicate(self) -> bool:
        """Read one request, answer it; True if another may follow on this connection."""
        exchange = Exchange(self.server, self)
        try:
            self.rfile.deadline = self.deadline
            exchange.parse_request()
            if not exchange.ready:
                return False
            self.rfile.deadline = time.monotonic() + self.limits.body_seconds
            exchange.respond()
        except Gone:
            return False
        except BrokenBody:
            self._fail(exchange)  # the client's fault, not worth a line in the log
            return False
        except Exception as error:
            self._report(error)
            self._fail(exchange)
            return False
        return not exchange.close_connection

    def has_left(self) -> bool:
        """Whether the client has said that it sends no more: for a stream, that it is gone.

        The first write after that would succeed; only the reset it provokes fails the second one,
        which for a quiet stream means one more heartbeat.
        """
        try:
            self.socket.setblocking(False)
            return len(self.rfile) == 0 and not self.socket.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            return True

    def refuse(self, status: int, detail: str) -> None:
        """Send a last answer without waiting for anybody."""
        with suppress(OSError):
            self.socket.setblocking(False)
            self.socket.send(refusal(status, detail))

    def finish_sending(self) -> bool:
        """Say that nothing follows; False if there is nobody left to say it to.

        Closing at once while bytes of the client are unread would send a reset, which can overtake
        the answer.
        """
        try:
            self.socket.setblocking(False)
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            return False
        return True

    def drop_input(self) -> bool:
        """Throw away what has come; False at the end."""
        try:
            return bool(self.socket.recv(65536))
        except (BlockingIOError, InterruptedError):
            return True
        except OSError:
            return False

    def cut(self) -> None:
        """End it under the thread that works on it: its next read or write fails."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Give the socket back."""
        self.socket.close()

    def _fail(self, exchange: Exchange) -> None:
        if exchange.sent_headers:
            return
        with suppress(Gone):
            failure = exchange.body.failure
            if failure:
                exchange.simple_response(failure.status, str(failure))
            else:
                exchange.simple_response(500, "the server has a fault; its log says where")

    @staticmethod
    def _report(error: Exception) -> None:
        """Log where it happened. Not the message: it may quote a header, and so a token."""
        frames = traceback.extract_tb(error.__traceback__)
        where = "".join(f"\n  {f.filename}:{f.lineno} in {f.name}" for f in frames)
        _LOG.error("%s while a request was answered, from%s", type(error).__name__, where)
