"""Readiness against real sockets and servers."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from runner import readiness
from runner.readiness import Readiness
from runner.settings import Settings
from tests.unit.runner.conftest import free_port

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def declared(port: int) -> Readiness:
    """Readiness of a program that must listen on `port`."""
    return Readiness(Settings(port=port, port_declared=True))


@contextmanager
def grpc_server(port: int, servicer: health.HealthServicer | None) -> Iterator[None]:
    """A gRPC server, with a health service or none."""
    server = grpc.server(ThreadPoolExecutor(2))
    if servicer:
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    try:
        yield
    finally:
        server.stop(0).wait(2)


@contextmanager
def tcp_server(answer: bytes | None) -> Iterator[tuple[int, list[bytes]]]:
    """A server that answers the first bytes of each client with `answer`, or never (None)."""
    seen: list[bytes] = []
    kept: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):  # the test ended: its sockets are closed
                while True:
                    client, _ = server.accept()
                    kept.append(client)
                    if answer is not None:
                        data = client.recv(100)
                        if data:
                            seen.append(data)
                            client.sendall(answer)
                        client.close()

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1], seen
        server.shutdown(socket.SHUT_RDWR)
    for client in kept:
        client.close()


def test_grpc_without_health_service_is_ready() -> None:
    """UNIMPLEMENTED leaves the decision to the open port."""
    port = free_port()
    with grpc_server(port, None):
        verdict = declared(port).verdict(0.1)
    assert verdict.ready
    assert "accepts on port" in verdict.message


def test_own_health_service_decides_both_ways() -> None:
    """Its NOT_SERVING and its SERVING count, at each look."""
    port, servicer = free_port(), health.HealthServicer()
    ready = declared(port)
    with grpc_server(port, servicer):
        servicer.set("", NOT_SERVING)
        assert not ready.verdict(0.1).ready
        servicer.set("", SERVING)
        assert ready.verdict(0.2).ready
    verdict = ready.verdict(0.3)
    assert not verdict.ready
    assert "no longer accepts" in verdict.message


def test_health_service_for_single_names_only_is_ready() -> None:
    """NOT_FOUND for the whole server is no opinion on the whole server."""
    port = free_port()

    class OnlyNames(health.HealthServicer):  # type: ignore[misc] # untyped base
        def Check(self, request: object, context: grpc.ServicerContext) -> None:  # noqa: N802
            del request
            context.abort(grpc.StatusCode.NOT_FOUND, "unknown")

    with grpc_server(port, OnlyNames()):
        assert declared(port).verdict(0.1).ready


def test_http_server_is_asked_once() -> None:
    """A server that is not gRPC sees one health call, not one a second in its log."""
    with tcp_server(b"HTTP/1.1 400 Bad\r\n\r\n") as (port, seen):
        ready = declared(port)
        assert [ready.verdict(0.1).ready for _ in range(4)] == [True] * 4
    assert len(seen) <= 1


def test_silent_server_is_ready_after_some_silences(monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that accepts and never answers is first "not yet", then taken as it is."""
    monkeypatch.setattr(readiness, "GRPC_SECONDS", 0.05)
    with tcp_server(None) as (port, _):
        ready = declared(port)
        verdicts = [ready.verdict(0.1).ready for _ in range(readiness.SILENCES + 1)]
    assert verdicts == [False] * readiness.SILENCES + [True]


def test_health_service_that_falls_silent_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once it has spoken, silence means trouble."""
    monkeypatch.setattr(readiness, "GRPC_SECONDS", 0.3)
    port, silent = free_port(), threading.Event()

    class Stalls(health.HealthServicer):  # type: ignore[misc] # untyped base
        def Check(self, request: object, context: object) -> object:  # noqa: N802
            del request, context
            if silent.is_set():
                threading.Event().wait(0.6)
            return health_pb2.HealthCheckResponse(status=SERVING)

    ready = declared(port)
    with grpc_server(port, Stalls()):
        assert ready.verdict(0.1).ready
        silent.set()
        verdict = ready.verdict(0.2)
    assert not verdict.ready
    assert "DEADLINE_EXCEEDED" in verdict.message


def test_wrong_port_is_named() -> None:
    """A program that listens elsewhere is told where."""
    with tcp_server(b"") as (port, _):
        verdict = declared(free_port()).verdict(1.0)
    assert not verdict.ready
    assert f"127.0.0.1:{port}" in verdict.message


@pytest.mark.parametrize(("age", "expected"), [(0.1, False), (3.0, True)])
def test_undeclared_port_waits_for_the_settle_time(age: float, expected: bool) -> None:
    """Without a declared port, being alive long enough is enough."""
    assert Readiness(Settings(port=free_port())).verdict(age).ready is expected
