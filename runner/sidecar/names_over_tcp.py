"""Names over TCP: for answers that are too long for UDP, and for resolvers that like it better.

Questions about names of one label are put to `names`, over UDP, which knows them; all others are
passed on to the engine's name server over TCP, unchanged.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

from runner.sidecar import dns, threads

IDLE_SECONDS = 10.0
"""After so long without a question a connection is closed (RFC 7766, 6.2.3: a few seconds)."""

MOST_CONNECTIONS = 64

Address = tuple[str, int]


def serve(names: Address, upstream: Address | None) -> None:
    """Serve at the address of `names`, on threads that end with the process.

    Args:
        names: who answers for names of services over UDP.
        upstream: who answers for others; None: `names` does.
    """
    listener = socket.create_server(names, backlog=128)
    free = threading.Semaphore(MOST_CONNECTIONS)

    def step() -> None:
        connection, _ = listener.accept()
        free.acquire()
        threading.Thread(target=talk, args=(connection,), daemon=True).start()

    def talk(connection: socket.socket) -> None:
        try:
            with connection, suppress(OSError):
                connection.settimeout(IDLE_SECONDS)
                while query := receive(connection):
                    send(connection, _answer(query, names, upstream))
        finally:
            free.release()

    threads.keep(step)


def _answer(query: bytes, names: Address, upstream: Address | None) -> bytes:
    if upstream is None or dns.question(query):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
            asked.settimeout(IDLE_SECONDS)
            asked.connect(names)
            asked.send(query)
            return asked.recv(65535)
    own = (dns.source(upstream[0]), 0)
    with socket.create_connection(upstream, IDLE_SECONDS, source_address=own) as server:
        send(server, query)
        return receive(server)


def send(connection: socket.socket, message: bytes) -> None:
    """Send a message with its length before it (RFC 1035, 4.2.2)."""
    connection.sendall(len(message).to_bytes(2, "big") + message)


def receive(connection: socket.socket) -> bytes:
    """The next message; empty when there is none."""
    length = _exactly(connection, 2)
    return _exactly(connection, int.from_bytes(length, "big")) if length else b""


def _exactly(connection: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        chunk = connection.recv(count - len(found))
        if not chunk:
            return b""
        found += chunk
    return found
