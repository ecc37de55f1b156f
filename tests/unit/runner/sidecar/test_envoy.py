"""Envoy's admin socket, and waiting for calls in flight."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

from runner.sidecar import (
    envoy,
)


def test_draining_waits_for_calls_in_flight_and_no_longer() -> None:
    """It asks Envoy to drain first, then until no call is left."""
    asked: list[str] = []
    active = iter([2, 1, 0])

    def ask(method: str, target: str) -> str:
        asked.append(f"{method} {target.partition('?')[0]}")
        return f"http.ingress.downstream_rq_active: {next(active)}\n" if method == "GET" else "OK"

    envoy.drain(ask, seconds=5, poll=0)
    assert asked == ["POST /drain_listeners", "GET /stats", "GET /stats", "GET /stats"]


def test_draining_ends_when_calls_do_not() -> None:
    """A stream without end cannot hold the container up."""
    begin = time.monotonic()
    envoy.drain(lambda _method, _target: "http.ingress.downstream_rq_active: 1", 0.1, 0.01)
    assert 0.1 <= time.monotonic() - begin < 2


def test_the_admin_socket_is_asked_in_plain_http_and_may_be_gone(tmp_path: Path) -> None:
    """An Envoy that is dead has nothing to drain."""
    path = tmp_path / "admin.sock"
    assert envoy.ask("GET", "/", path) == ""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        got: list[bytes] = []

        def answer() -> None:
            client, _ = server.accept()
            with client:
                got.append(client.recv(1000))
                client.sendall(b"HTTP/1.1 200 OK\r\n\r\nLIVE")

        thread = threading.Thread(target=answer)
        thread.start()
        assert envoy.ask("GET", "/ready", path).endswith("LIVE")
        thread.join()
    assert got[0].startswith(b"GET /ready HTTP/1.1\r\n")
