"""One request and its response: cheroot's HTTP and WSGI, with a strict front and plain ends.

What cheroot does well stays its own: chunked responses, keep-alive, Date, the WSGI environment.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote_to_bytes

from cheroot.errors import MaxSizeExceeded
from cheroot.server import HTTPRequest
from cheroot.wsgi import Gateway_10

from admin.body import Body, ChunkedBody, SizedBody
from admin.headers import BadRequest, framing, parse_request_line, read_headers
from admin.refusal import refusal
from admin.wire import Gone


class Exchange(HTTPRequest):
    """A request as it is read, and what is written back."""

    method = b""
    body: Body

    def read_request_line(self) -> bool:
        """Parse the first line; False if it was refused."""
        line = self.rfile.readline()
        if line == b"\r\n":  # RFC 9112, 2.2: one empty line before it is forgiven
            line = self.rfile.readline()
        self.started_request = True
        try:
            parsed = parse_request_line(line)
        except BadRequest as error:
            return self._refuse(error)
        self.method, self.uri, self.authority = parsed.method, parsed.target, b""
        path, _, self.qs = parsed.target.partition(b"?")
        # An encoded slash stays encoded: it is a part of a name, not a separator of names.
        self.path = b"%2F".join(unquote_to_bytes(part) for part in re.split(rb"(?i)%2F", path))
        self.request_protocol = parsed.version
        self.response_protocol = parsed.version.decode()
        return True

    def read_request_headers(self) -> bool:
        """Parse the headers and what they say of the body; False if they were refused."""
        try:
            self.inheaders = read_headers(self.rfile.readline)
            frame = framing(
                self.inheaders, self.request_protocol, self.server.max_request_body_size
            )
        except MaxSizeExceeded:
            return self._refuse(BadRequest(431, "the headers are too large"))
        except BadRequest as error:
            return self._refuse(error)
        self.close_connection = not frame.keep_alive
        self.chunked_read = frame.chunked
        source = self.conn.rfile
        self.body = (
            ChunkedBody(source, self.server.max_request_body_size)
            if frame.chunked
            else SizedBody(source, frame.length)
        )
        if self.inheaders.get(b"Expect", b"").lower() == b"100-continue":
            self.conn.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return True

    def respond(self) -> None:
        """Call the application and write what it returns."""
        self.rfile = io.BufferedReader(self.body)
        Gateway(self).respond()
        if self.chunked_write:
            self.conn.wfile.write(b"0\r\n\r\n")

    def write(self, chunk: bytes) -> None:
        """Write a part of the body; a stream whose reader has left ends here."""
        if self.chunked_write and self.conn.has_left():
            raise Gone("the client hung up")
        super().write(chunk)

    def send_headers(self) -> None:
        """Write status and headers; a body nobody read ends the connection.

        cheroot would read the rest of it first: a caller without a token could hold the thread.
        """
        if not self.body.finish():
            self.close_connection = True
        super().send_headers()

    def simple_response(self, status: str | int, msg: str = "") -> None:
        """Answer with a problem and close; cheroot's hook for all of its own errors."""
        self.sent_headers = self.close_connection = True
        self.chunked_write = False
        answer = refusal(int(str(status)[:3]), msg, body=self.method != b"HEAD")
        self.conn.wfile.write(answer)

    def _refuse(self, error: BadRequest) -> bool:
        self.simple_response(error.status, str(error))
        return False


class Gateway(Gateway_10):
    """One call of the application."""

    def get_environ(self) -> dict[str, Any]:
        """The WSGI environment; no header can reach a name that does not begin with HTTP_."""
        environ: dict[str, Any] = super().get_environ()
        connection = self.req.conn
        environ["iac.via"] = connection.via
        if connection.peer is not None:
            environ["iac.peer"] = connection.peer
        return environ

    def respond(self) -> None:
        """Write each part of the response as it comes; `close()` it whatever happens."""
        response = self.req.server.wsgi_app(self.env, self.start_response)
        try:
            self._send(response)
        finally:
            close = getattr(response, "close", None)
            if close is not None:
                close()

    def _send(self, response: Iterable[bytes]) -> None:
        failure = self.req.body.failure
        if failure is not None:
            self.req.simple_response(failure.status, str(failure))
            return
        for part in filter(None, response):
            self.write(part)
        self.req.ensure_headers_sent()
