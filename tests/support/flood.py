"""Many connections and requests at once, within numbers that a test states."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import suppress
from pathlib import Path

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5)
"""What a client of HTTP/2 opens with, and its settings, which are empty (RFC 9113, 3.4)."""

_HEADERS = bytes.fromhex("83868441 0161")
"""POST, http, /, of the authority ``a``, as HPACK's static table has them (RFC 7541)."""


def context(leaf: Path) -> ssl.SSLContext:
    """A client with the certificate in a leaf directory."""
    made = ssl.create_default_context(cafile=str(leaf / "ca.crt"))
    made.check_hostname = False
    made.load_cert_chain(leaf / "tls.crt", leaf / "tls.key")
    return made


def request(number: int) -> bytes:
    """The frame that opens the stream of the request with that number, from 0, and leaves it open:
    HEADERS with END_HEADERS."""
    return (
        len(_HEADERS).to_bytes(3, "big") + b"\1\4" + (2 * number + 1).to_bytes(4, "big") + _HEADERS
    )


class Flood:
    """Connections to one address, kept open until `close`.

    `protocol`: what they offer (ALPN); of another one than HTTP/2 nothing is read.
    """

    def __init__(self, address: tuple[str, int], tls: ssl.SSLContext, protocol: str = "h2") -> None:
        self._address, self._tls = address, tls
        tls.set_alpn_protocols([protocol])
        self._speaks_http = protocol == "h2"
        self._open: list[ssl.SSLSocket] = []
        self._asked = 0

    def connect(self, number: int) -> int:
        """Open so many more; how many were let in."""
        before = len(self._open)
        for _ in range(number):
            with suppress(OSError):
                self._connect()
        return len(self._open) - before

    def ask(self, number: int) -> None:
        """Send so many requests that never end on each connection; all of them are there by now."""
        for each in self._open:
            with suppress(OSError):
                each.sendall(b"".join(request(self._asked + at) for at in range(number)))
        self._asked += number

    def _connect(self) -> None:
        raw = socket.create_connection(self._address, 3)
        try:
            made = self._tls.wrap_socket(raw, server_hostname="a")
            if self._speaks_http:
                made.sendall(PREFACE)
                made.recv(1)  # a server of TLS 1.3 has answered to the certificate only now
        except OSError:
            raw.close()
            raise
        self._open.append(made)
        if self._speaks_http:
            threading.Thread(target=_read, args=(made,), daemon=True).start()

    def write(self) -> None:
        """Write to each connection as much as is taken; nothing that comes is read."""
        for each in self._open:
            write(each)

    def close(self) -> None:
        """End them all."""
        for each in self._open:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self._open.clear()


def _read(stream: ssl.SSLSocket) -> None:
    with suppress(OSError, ValueError):
        while stream.recv(65536):
            pass


class Silent:
    """A program that accepts and never answers."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._listener = socket.create_server(address, backlog=4096)
        self._kept: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                self._kept.append(self._listener.accept()[0])

    @property
    def accepted(self) -> int:
        """How many connections it has."""
        return len(self._kept)

    def write(self) -> None:
        """Write to each of them as much as is taken; nothing that comes is read."""
        for each in self._kept:
            write(each)

    def close(self) -> None:
        """End it, and all of its connections."""
        self._listener.close()
        for each in self._kept:
            each.close()


def write(stream: socket.socket) -> None:
    """Write as much as the other end takes."""
    stream.setblocking(False)
    with suppress(OSError):  # BlockingIOError, or TLS' own: it takes no more
        while True:
            stream.send(bytes(65536))
