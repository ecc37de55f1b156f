"""One connection: what waitress does, with total times, refusals as problems and plain ends."""

from __future__ import annotations

import logging
import re
import socket
import time
import traceback
from typing import Any
from urllib.parse import unquote_to_bytes

from waitress.channel import ClientDisconnected, HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.task import ErrorTask, WSGITask

from admin.wsgi.limits import Limits
from admin.wsgi.peer import Peer
from admin.wsgi.refusal import refusal

_LOG = logging.getLogger("iac.admin")
_CODING = re.compile(rb"(?i)\r\ntransfer-encoding:([^\r\n]*)")
_ORIGIN_FORM = re.compile(r"/(?!/)[^#]*")  # RFC 9112, 3.2.1; other forms name a second host


class Parser(HTTPRequestParser):
    """Refuses what two readers could read in two ways, and knows when it began."""

    def __init__(self, adj: Any) -> None:
        super().__init__(adj)
        self.began = time.time()

    def received(self, data: bytes) -> int:
        """Take bytes of one request; how many of them."""
        taken = int(super().received(data))
        if self.completed:  # refused, or without a body: there is nothing to continue with
            self.expect_continue = False
        return taken

    def parse_header(self, header_plus: bytes) -> None:
        """Parse the request line and the headers; from now on the time of the body counts."""
        if b"\r\n " in header_plus or b"\r\n\t" in header_plus:
            raise ParsingError("folded header")
        try:
            super().parse_header(header_plus)
        except ValueError as error:  # an odd target, a length of thousands of digits
            raise ParsingError("not HTTP") from error
        codings = [coding.strip().lower() for coding in _CODING.findall(header_plus)]
        if codings and (
            codings != [b"chunked"] or not self.chunked or "CONTENT_LENGTH" in self.headers
        ):
            raise ParsingError("two ways to find the end of the body")
        if not _ORIGIN_FORM.fullmatch(self.request_uri):
            raise ParsingError("not a path")
        self.began = time.time()


class Task(WSGITask):
    """One call of the application."""

    def get_environment(self) -> dict[str, Any]:
        """The WSGI environment, with who is calling and how."""
        environ: dict[str, Any] = super().get_environment()
        # An encoded slash stays encoded: it is a part of a name, not a separator of names.
        parts = re.split("(?i)%2F", self.request.request_uri.partition("?")[0])
        environ["PATH_INFO"] = "%2F".join(unquote_to_bytes(p).decode("latin-1") for p in parts)
        environ["iac.threads"] = self.channel.server.task_dispatcher.most
        peer = self.channel.peer
        environ["iac.via"] = "http" if peer is None else "socket"
        if peer is not None:
            environ["iac.peer"] = peer
        return environ

    def execute(self) -> None:
        """Call it; a fault is logged without its message, which could hold a secret."""
        try:
            super().execute()
        except ClientDisconnected:
            raise
        except BaseException as error:
            frames = traceback.extract_tb(error.__traceback__)
            place = "".join(f"\n  {each.filename}:{each.lineno} in {each.name}" for each in frames)
            _LOG.error("a request ended with %s%s", type(error).__name__, place)
            raise RuntimeError("see above") from None

    def build_response_header(self) -> bytes:
        """Status line and headers; the last ones on their connection when the server stops."""
        if not self.channel.server.accepting:
            self.set_close_on_finish()
        head: bytes = super().build_response_header()
        if self._is_head:
            self.chunked_response = False
        return head

    def write(self, data: bytes) -> None:
        """Write a part of the answer."""
        super().write(b"" if self._is_head else data)

    @property
    def _is_head(self) -> bool:
        return bool(self.request.command == "HEAD")


class Refusal(ErrorTask):
    """An answer of the server itself."""

    def execute(self) -> None:
        """Write it and close; only close if that would wait for the client.

        The listener's thread may be the one that is here, and nobody else could end that wait.
        """
        self.wrote_header = self.close_on_finish = True
        if self.channel.total_outbufs_len <= self.channel.adj.outbuf_high_watermark:
            asked = self.channel.requests[0]  # after a fault, `request` is a stand-in
            body = getattr(asked, "command", "") != "HEAD"
            self.channel.write_soon(refusal(self.request.error.code, body=body))


class Channel(HTTPChannel):
    """A connection, as the listener's thread (reading, times) and one other (writing) use it."""

    task_class = Task
    error_task_class = Refusal
    parser_class = Parser
    close_when_flushed: bool

    def __init__(self, server: Any, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(server, sock, *args, **kwargs)
        self.peer = Peer.of(sock) if sock.family == socket.AF_UNIX else None
        self._lingers = 0.0  # since when it only waits for the client to close
        self._stalled = 0.0  # since when something to send is left

    @property
    def since(self) -> float:
        """Since when it waits for its client."""
        return float(self.request.began if self.request else self.last_activity)

    def overdue(self, now: float, limits: Limits) -> bool:
        """Whether its client has taken too long."""
        if self._lingers:
            return now - self._lingers > limits.linger_seconds
        if self.total_outbufs_len:
            self._stalled = max(self._stalled or now, self.last_activity)
            return now - self._stalled > limits.send_seconds
        self._stalled = 0.0
        if self.requests:
            return False
        if self.request is None:
            return now - self.since > limits.idle_seconds
        head = not self.request.headers_finished
        return now - self.since > (limits.head_seconds if head else limits.body_seconds)

    def readable(self) -> bool:
        """Whether to wait for bytes, if only to throw them away."""
        return bool(self._lingers or super().readable())

    def received(self, data: bytes) -> bool:
        """Take bytes from the client."""
        return not self._lingers and bool(super().received(data))

    def handle_write(self) -> None:
        """Send; after a last answer wait for the client, lest a reset overtake the answer."""
        ends = self.close_when_flushed
        if ends:
            self.close_when_flushed = False
        super().handle_write()
        if not ends or not self.connected:
            return
        if self.total_outbufs_len:
            self.close_when_flushed = True
            return
        self._lingers = time.time()
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.handle_close()

    def handle_close(self) -> None:
        """Close, while no thread sends: the number of the descriptor is soon another's."""
        with self.outbuf_lock:
            super().handle_close()
