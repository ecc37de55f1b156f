"""What does the server on a port speak? It must not know health checks."""

from __future__ import annotations

from collections.abc import Callable, Set
from typing import Literal

from runner import processes
from runner.listeners import connect, inodes
from runner.readiness_verdict import Protocol

Speech = Literal["grpc", "maybe grpc", "http", "tcp"]

PEEK_SECONDS = 0.1
"""How long a server has to speak first. Those made with gRPC's C library (Python, C++, Ruby, PHP)
send their SETTINGS as soon as they have accepted; Go's and HTTP/1 servers wait for the client."""

ANSWER_SECONDS = 1.0
"""How long a server has to begin its answer to a request."""

_REQUEST = (
    b"GET / HTTP/1.1\r\nhost: localhost\r\nuser-agent: iac-health\r\nconnection: close\r\n\r\n"
)

_NO_VERSION = _REQUEST.replace(b"HTTP/1.1", b"HTTP/9.9")

_SETTINGS = 4  # frame type, the fourth byte (RFC 9113, 4.1 and 6.5)


def speech(
    host: str, port: int, may_have_grpc: Callable[[Set[int]], bool] = processes.may_have_grpc
) -> Speech:
    """What whoever listens there speaks, as far as can be told without a word that it would log.

    A server that keeps silent is judged by its process: one in Python without a gRPC library is
    taken for HTTP; any other program may have its gRPC linked in.

    Args:
        may_have_grpc: looks at the processes that hold some sockets.
    """
    first = _first_bytes(host, port)
    if first:
        return "grpc" if len(first) > 3 and first[3] == _SETTINGS else "tcp"
    return "maybe grpc" if may_have_grpc(inodes(port)) else "http"


def told_by_bytes(host: str, port: int) -> Protocol:
    """What a server speaks, by its first bytes, else by its answer to a request in HTTP/1.

    One that is silent may be slow. One that hangs up may speak something else, or be a page that
    breaks: an HTTP server refuses a version that there is not before any page of it is asked.
    """
    said, ended = _first_bytes(host, port), False
    if not said:
        said, ended = _answer(host, port)
    if ended and not said:
        said, _ = _answer(host, port, _NO_VERSION)
    if len(said) > 3 and said[3] == _SETTINGS:
        return "GRPC"
    # Python's own server puts no status line before such a refusal.
    if said.upper().startswith((b"HTTP/", b"<!DOCTYPE HTML")):
        return "HTTP"
    return "TCP" if said or ended else "HTTP"


def answers_otherwise(host: str, port: int) -> bool:
    """Whether a request is answered with something that is no HTTP/1; silence tells nothing.

    Its sidecar cannot tell that from HTTP with headers beyond the limits: both are a protocol error
    to Envoy.
    """
    said, _ = _answer(host, port)
    return bool(said) and not said.startswith(b"HTTP/")


def _answer(host: str, port: int, request: bytes = _REQUEST) -> tuple[bytes, bool]:
    """What is said to a request, and whether the connection was ended."""
    said = b""
    try:
        with connect(host, port) as asked:
            asked.settimeout(ANSWER_SECONDS)
            asked.sendall(request)
            # To the end of a usual page: a server that cannot write it out may log that.
            while len(said) < 1 << 20 and (more := asked.recv(1 << 16)):
                said += more
            return said, True
    except TimeoutError:
        return said, False
    except OSError:
        return said, True


def _first_bytes(host: str, port: int) -> bytes:
    try:
        with connect(host, port) as peek:
            peek.settimeout(PEEK_SECONDS)
            return peek.recv(9)
    except OSError:
        return b""
