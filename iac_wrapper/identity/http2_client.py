"""Requests over one connection whose peer is already proven. It must not know TLS or services.

h2 is imported at the first connection: commands that call no service must not pay for it.
"""

from __future__ import annotations

import ssl
import time
from dataclasses import dataclass, field
from typing import Any

from iac_wrapper.model.proof import ProofRequest, ServiceAnswer

BODY_BYTES = 65536
"""How much of a body is read: enough to let ordinary pages end in peace."""

BODY_SECONDS = 0.5
"""How long an HTTP body without a length may take after its status: event streams never end."""


_HEADER, _GOAWAY = 9, 7
"""Of frames (RFC 9113, 4.1): bytes of a header, and the type of the one that ends a connection."""


class CallError(Exception):
    """No answer; the text says why, after the words ``GET / …``. `silent`: the time ran out."""

    def __init__(self, text: str, *, silent: bool = False) -> None:
        super().__init__(text)
        self.silent = silent


class Http2Client:
    """Sends requests one after the other.

    `hello` must be the first bytes on the connection that `attach` gets.
    """

    def __init__(self) -> None:
        import h2.config  # noqa: PLC0415 - see the module's first lines
        import h2.connection  # noqa: PLC0415

        config = h2.config.H2Configuration(client_side=True, header_encoding="utf-8")
        self._h2: Any = h2.connection.H2Connection(config)
        self._h2.initiate_connection()
        self.hello: bytes = self._h2.data_to_send()
        self._socket: ssl.SSLSocket | None = None
        self._stream = 0
        self._rest = b""

    def attach(self, secure: ssl.SSLSocket, first: bytes) -> None:
        """Use this connection, on which `hello` was answered with `first`.

        Raises:
            CallError: that is no HTTP/2.
        """
        from h2.exceptions import ProtocolError  # noqa: PLC0415 - see above

        self._socket = secure
        try:
            self._h2.receive_data(self._without_notices(first))
        except ProtocolError as error:
            raise CallError(f"the peer does not speak HTTP/2 ({error})") from None

    def call(self, request: ProofRequest, *, authority: str, timeout: float) -> ServiceAnswer:
        """Send a request and read its answer, an HTTP body as far as it comes soon.

        Raises:
            CallError: no answer within `timeout` seconds, or the connection broke.
        """
        from h2.exceptions import ProtocolError  # noqa: PLC0415 - see above

        try:
            return self._call(request, authority, time.monotonic() + timeout)
        except TimeoutError:
            raise CallError(f"no answer within {timeout:g} s", silent=True) from None
        except (OSError, ProtocolError) as error:
            raise CallError(f"the connection broke ({error})") from None

    def _call(self, request: ProofRequest, authority: str, deadline: float) -> ServiceAnswer:
        began = time.monotonic()
        self._stream = stream = self._send(request, authority)
        is_grpc, answer = "te" in request.headers, _Partial()
        while not answer.ended and len(answer.body) < BODY_BYTES:
            try:
                events = self._receive(deadline)
            except TimeoutError:
                if is_grpc or answer.length or not answer.status:
                    raise
                break
            known = answer.status
            for event in events:
                answer.take(event, stream, self._h2)
            if answer.status and not known:
                answer.seconds = time.monotonic() - began
                if not is_grpc and not answer.length:
                    deadline = min(deadline, time.monotonic() + BODY_SECONDS)
        if not answer.ended:
            self._h2.reset_stream(stream)
        self._flush()
        return ServiceAnswer(answer.status, answer.headers, bytes(answer.body), answer.seconds)

    def _send(self, request: ProofRequest, authority: str) -> int:
        stream: int = self._h2.get_next_available_stream_id()
        fields = {
            ":method": request.method,
            ":scheme": "https",
            ":authority": authority,
            ":path": request.path,
            "x-forwarded-proto": "http",  # what Envoy says of a call of another service
            "user-agent": "iac-health",
            **request.headers,
        }
        self._h2.send_headers(stream, list(fields.items()), end_stream=not request.body)
        size = self._h2.max_outbound_frame_size
        for at in range(0, len(request.body), size):
            part = request.body[at : at + size]
            self._h2.send_data(stream, part, end_stream=at + size >= len(request.body))
        return stream

    def _receive(self, deadline: float) -> list[Any]:
        assert self._socket is not None  # noqa: S101 - call comes after attach
        self._flush()
        self._socket.settimeout(max(0.01, deadline - time.monotonic()))
        data = self._socket.recv(65536)
        if not data:
            raise ConnectionError("closed by the peer")
        return list(self._h2.receive_data(self._without_notices(data)))

    def _without_notices(self, data: bytes) -> bytes:
        """The whole frames of what has come, but for notices that the peer closes the connection
        once what was asked so far is answered, as Envoy gives while it drains or has too little
        memory: h2 takes no answer after one (RFC 9113, 6.8, lets it come)."""
        self._rest, kept = self._rest + data, b""
        while len(self._rest) >= _HEADER:
            size = _HEADER + int.from_bytes(self._rest[:3])
            if len(self._rest) < size:
                break
            frame, self._rest = self._rest[:size], self._rest[size:]
            kept += b"" if _is_notice(frame, self._stream) else frame
        return kept

    def _flush(self) -> None:
        assert self._socket is not None  # noqa: S101 - call comes after attach
        self._socket.sendall(self._h2.data_to_send())


def _is_notice(frame: bytes, stream: int) -> bool:
    """Whether it ends the connection without an error, and after the answer to `stream`."""
    last, code = frame[_HEADER : _HEADER + 4], frame[_HEADER + 4 : _HEADER + 8]
    is_late = int.from_bytes(last) & 0x7FFFFFFF >= stream
    return frame[3] == _GOAWAY and is_late and not int.from_bytes(code)


@dataclass
class _Partial:
    """An answer as far as it has come; trailers stand beside the headers."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    seconds: float = 0.0
    ended: bool = False

    @property
    def length(self) -> int:
        """The bytes of its body as the answer states them; 0: it does not."""
        stated = self.headers.get("content-length", "")
        return int(stated) if stated.isdecimal() else 0

    def take(self, event: Any, stream: int, connection: Any) -> None:
        from h2 import events  # noqa: PLC0415 - see above

        if isinstance(event, events.ConnectionTerminated) and not self.status:
            raise ConnectionError("the peer is going away")
        if getattr(event, "stream_id", None) != stream:
            return
        if isinstance(event, events.ResponseReceived | events.TrailersReceived):
            self.headers.update({str(k): str(v) for k, v in event.headers})
            self.status = self.status or int(self.headers[":status"])
        elif isinstance(event, events.DataReceived):
            self.body += event.data
            connection.acknowledge_received_data(event.flow_controlled_length, stream)
        elif isinstance(event, events.StreamReset) and not self.ended:
            if not self.status:
                raise ConnectionError(f"the stream was reset, code {int(event.error_code)}")
            if event.error_code:  # what came is not all: a reader gets an error, not a page
                raise ConnectionError(f"{self.status}, broken off after {len(self.body)} bytes")
        self.ended |= isinstance(event, events.StreamEnded | events.StreamReset)
