"""A WSGI application with one route for each way a response can go, and raw clients for it."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from admin.wsgi.limits import ListenerLimits
from admin.wsgi.server import HttpServer

Environ = dict[str, Any]


class SmallApp:
    """Remembers what it was given; `go` and `closed` let a test follow a stream."""

    def __init__(self) -> None:
        self.environ: Environ = {}
        self.calls = 0
        self.written = 0
        self.entered = threading.Semaphore(0)
        self.go = threading.Event()
        self.closed = threading.Event()
        self.lock = threading.Lock()

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        with self.lock:
            self.environ, self.calls = environ, self.calls + 1
        self.entered.release()
        answer: Iterable[bytes] | None = getattr(self, "_" + environ["PATH_INFO"][1:], self._echo)(
            environ, start_response
        )
        assert answer is not None
        return answer

    def _echo(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        body = environ["wsgi.input"].read()
        facts = {"length": len(body), "body": body[:80].decode("latin-1")}
        return self._json(facts, start_response)

    def _unread(self, _environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        return self._json({"read": False}, start_response)

    def _big(self, _environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        return self._json("x" * 20_000_000, start_response)

    def _fault(self, environ: Environ, _start_response: Callable[..., Any]) -> Iterable[bytes]:
        raise ValueError("sentinel " + environ.get("HTTP_AUTHORIZATION", ""))

    def _exit(self, _environ: Environ, _start_response: Callable[..., Any]) -> Iterable[bytes]:
        raise SystemExit(3)

    def _refused(self, _environ: Environ, _start_response: Callable[..., Any]) -> Iterable[bytes]:
        raise ConnectionRefusedError(111, "the application's own connection")

    def _wait(self, _environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        self.go.wait(10)
        return self._json({"waited": True}, start_response)

    def _stream(self, _environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        return self._events(b"data: 2\n\n")

    def _flood(self, _environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        self.go.set()
        return self._events(*[b"x" * 1_000_000] * 100)

    def _breaks(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        yield from [b"x"] if environ["QUERY_STRING"] else []
        raise ValueError("sentinel")

    def _events(self, *later: bytes) -> Iterator[bytes]:
        try:
            for event in (b"data: 1\n\n", *later):
                yield event
                self.written += 1
                self.go.wait(10)
        finally:
            self.closed.set()

    @staticmethod
    def _json(value: Any, start_response: Callable[..., Any]) -> Iterable[bytes]:
        body = json.dumps(value).encode()
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        start_response("200 OK", headers)
        return [body]


@contextmanager
def serving(app: SmallApp, *, path: Path | None = None, **limits: Any) -> Iterator[HttpServer]:
    """`app` on a free port (and on the socket `path`), with short times unless said otherwise."""
    server = HttpServer(
        app,
        bind=("127.0.0.1", 0),
        socket=path,
        limits=ListenerLimits(
            **{"linger_seconds": 0.2, "requests": 16, "connections": 100, **limits}
        ),
    )
    server.start()
    try:
        yield server
    finally:
        app.go.set()
        server.stop(1.0)


def connect(server: HttpServer) -> socket.socket:
    """A connection to its port that gives up after five seconds."""
    assert server.address is not None
    return socket.create_connection(server.address, timeout=5)


def read_all(sock: socket.socket) -> bytes:
    """Everything up to the end of the connection."""
    data = b""
    while part := sock.recv(65536):
        data += part
    return data


def raw(server: HttpServer, data: bytes) -> bytes:
    """What the server answers to these bytes on a connection of their own, until it closes."""
    with connect(server) as sock:
        sock.sendall(data)
        return read_all(sock)


def status(answer: bytes) -> int:
    """The status of the first response in `answer`."""
    return int(answer.split(b" ", 2)[1])


def problem(answer: bytes) -> dict[str, Any]:
    """The body of a problem response."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"Content-Type: application/problem+json" in head
    value: dict[str, Any] = json.loads(body)
    return value
