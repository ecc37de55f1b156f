"""A service as the control plane meets it: TLS, HTTP/2, a runner's health, a program's answers."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.exceptions
from hyperframe.frame import GoAwayFrame

from runner.lifecycle import Lifecycle
from runner.server import to_status

Reply = tuple[dict[str, str], bytes, dict[str, str] | None]
"""Headers, body, trailers; None leaves the stream open, `BREAK` resets it."""

BREAK = {"": "reset"}

HEALTH = "/iac.controlplane.v1.ControlPlane/HealthCheck"


@dataclass
class H2Service:
    """Serves what `lifecycle` says, and `program`'s reply to every other request."""

    port: int
    lifecycle: Lifecycle = field(default_factory=lambda: Lifecycle(10))
    program: Callable[[dict[str, str]], Reply | None] = lambda _: ({":status": "200"}, b"ok", {})
    asked: list[dict[str, str]] = field(default_factory=list)
    names: list[str | None] = field(default_factory=list)
    """What was asked of the program, and the SNI of each connection."""
    farewell: GoAwayFrame | None = None
    """Sent before each answer."""

    def reply(self, headers: dict[str, str]) -> Reply | None:
        """None: never."""
        if headers[":path"] == HEALTH:
            message = to_status(self.lifecycle.report).SerializeToString()
            body = b"\0" + len(message).to_bytes(4) + message
            kind = {":status": "200", "content-type": "application/grpc"}
            return kind, body, {"grpc-status": "0"}
        self.asked.append(headers)
        return self.program(headers)


@contextmanager
def serving(folder: Path) -> Iterator[H2Service]:
    """A service with the certificate in `folder`, as long as the block runs."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    context.load_verify_locations(folder / "ca.crt")
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols(["h2"])
    with socket.create_server(("127.0.0.1", 0)) as server:
        service = H2Service(server.getsockname()[1])
        context.sni_callback = lambda _, name, __: service.names.append(name)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    client, _ = server.accept()
                    threading.Thread(target=talk, args=(client,), daemon=True).start()

        def talk(client: socket.socket) -> None:
            with client, suppress(OSError), context.wrap_socket(client, server_side=True) as secure:
                _converse(secure, service)

        threading.Thread(target=accept, daemon=True).start()
        yield service
        server.shutdown(socket.SHUT_RDWR)


def _converse(secure: ssl.SSLSocket, service: H2Service) -> None:
    config = h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
    connection: Any = h2.connection.H2Connection(config)
    connection.initiate_connection()
    secure.sendall(connection.data_to_send())
    with suppress(h2.exceptions.ProtocolError):
        while data := secure.recv(65536):
            for event in connection.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    if service.farewell:
                        secure.sendall(service.farewell.serialize())
                    _answer(connection, event.stream_id, service.reply(_texts(event.headers)))
            secure.sendall(connection.data_to_send())


def _answer(connection: Any, stream: int, reply: Reply | None) -> None:
    if reply is None:
        return
    headers, body, trailers = reply
    connection.send_headers(stream, list(headers.items()))
    connection.send_data(stream, body, end_stream=trailers == {})
    if trailers == BREAK:
        connection.reset_stream(stream, error_code=2)
    elif trailers:
        connection.send_headers(stream, list(trailers.items()), end_stream=True)


def _texts(headers: Any) -> dict[str, str]:
    return {str(name): str(value) for name, value in headers}
