"""Requests from outside, as people send them to an ingress, and what became of them."""

from __future__ import annotations

import http.client
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

Connect = Callable[[], http.client.HTTPConnection]


@dataclass
class Requests:
    """What became of them. `connections`: more than there are threads, if the ingress said that it
    closes one."""

    done: int = 0
    connections: int = 0
    failed: list[str] = field(default_factory=list)


@contextmanager
def requests(
    connect: Connect, host: str, *, rate: int, threads: int, keep: bool = True
) -> Iterator[Requests]:
    """`rate` requests a second for `host` while the block runs.

    Args:
        keep: over one connection for each of `threads`, for as long as it lives; else over a new
            one for each request.
    """
    stop, seen, lock = threading.Event(), Requests(), threading.Lock()

    def run(number: int) -> None:
        connection, due = None, time.monotonic() + number / rate
        while not stop.is_set():
            time.sleep(max(0.0, due - time.monotonic()))
            due = max(due + threads / rate, time.monotonic() - 1)
            try:
                if connection is None:
                    connection = connect()
                    with lock:
                        seen.connections += 1
                connection.request("GET", "/", headers={"Host": host})
                answer = connection.getresponse()
                body = answer.read()
                bad = answer.status != 200
                with lock:
                    seen.done += 1
                    seen.failed += [f"{answer.status} {body[:80]!r}"] if bad else []
                if answer.will_close or not keep:
                    connection.close()
                    connection = None
            except Exception as error:
                with lock:
                    seen.failed.append(f"{type(error).__name__} {error}")
                connection = None

    running = [threading.Thread(target=run, args=(number,)) for number in range(threads)]
    for one in running:
        one.start()
    try:
        yield seen
    finally:
        stop.set()
        for one in running:
            one.join(15)


def plain(port: int) -> http.client.HTTPConnection:
    """A connection to a port of loopback."""
    return http.client.HTTPConnection("127.0.0.1", port, timeout=10)


def secure(port: int, host: str, trusted: Path) -> http.client.HTTPConnection:
    """A TLS connection to `host` at a port of loopback; its certificate must be trusted."""
    connection = plain(port)
    connection.connect()
    context = ssl.create_default_context(cafile=trusted)
    connection.sock = context.wrap_socket(connection.sock, server_hostname=host)
    return connection


def serial(port: int, host: str, trusted: Path) -> str:
    """The number of the certificate that is served."""
    connection = secure(port, host, trusted)
    try:
        assert isinstance(connection.sock, ssl.SSLSocket)
        found = connection.sock.getpeercert() or {}
        return str(found["serialNumber"])
    finally:
        connection.close()
