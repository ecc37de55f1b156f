"""Who is asked for gRPC: real servers in processes of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runner.http2 import answers_otherwise, speech
from runner.listeners import accepts
from runner.opinion import Opinion
from runner.readiness import Readiness
from runner.settings import RunnerSettings
from tests.unit.runner.conftest import free_port

HTTP = "from http.server import test; import sys; test(port=int(sys.argv[1]), bind='127.0.0.1')"
HTTP_BESIDE_GRPC = f"import grpc; {HTTP}"
GRPC = """
import sys, time, grpc
from concurrent.futures import ThreadPoolExecutor
server = grpc.server(ThreadPoolExecutor(1))
server.add_insecure_port(f"127.0.0.1:{sys.argv[1]}")
server.start()
server.wait_for_termination()
"""
GRPC_NOT_STARTED = GRPC.replace("server.start()", "time.sleep(60)")
BANNER = """
import socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    client, _ = server.accept()
    try: client.sendall(b"220 ready\\r\\n")
    except OSError: pass
"""

ECHO = """
import socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    client, _ = server.accept()
    client.sendall(client.recv(100))
"""
MANY_HEADERS = """
import http.server, sys
class Many(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        for n in range(20): self.send_header(f"x-{n}", 4000 * "a")
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Many).serve_forever()
"""

Serve = Callable[..., tuple[int, subprocess.Popen[str]]]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts a program that listens on the port in its first argument."""
    started: list[subprocess.Popen[str]] = []

    def _serve(
        source: str, python: str = sys.executable, **env: str
    ) -> tuple[int, subprocess.Popen[str]]:
        port = free_port()
        process = subprocess.Popen(
            [python, "-u", "-c", source, str(port)],
            cwd=tmp_path,
            env={**os.environ, **env},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        deadline = time.monotonic() + 10
        while not accepts("127.0.0.1", port):
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.02)
        return port, process

    yield _serve
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (GRPC, "grpc"),
        (GRPC_NOT_STARTED, "maybe grpc"),
        (HTTP, "http"),
        (HTTP_BESIDE_GRPC, "maybe grpc"),
        (BANNER, "tcp"),
    ],
    ids=["grpc", "grpc before start", "http", "http that calls others by grpc", "banner"],
)
def test_python_servers(serve: Serve, source: str, expected: str) -> None:
    """Whoever speaks first is known; the silent ones are judged by their libraries."""
    assert speech("127.0.0.1", serve(source)[0]) == expected


def test_a_grpc_server_speaks_first(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its SETTINGS frame is enough: nobody looks at its process."""
    port, _ = serve(GRPC)
    monkeypatch.setattr("runner.http2.inodes", lambda _: pytest.fail("looked"))
    assert speech("127.0.0.1", port) == "grpc"


def test_other_programs_may_have_grpc_linked_in(serve: Serve, tmp_path: Path) -> None:
    """A silent server that is not Python, as one in Go is, gets the benefit of the doubt."""
    program = tmp_path / "program"
    shutil.copy(Path(sys.executable).resolve(), program)
    port, _ = serve(HTTP, str(program), PYTHONHOME=sys.base_prefix)
    assert speech("127.0.0.1", port) == "maybe grpc"


def test_nobody_there_decides_nothing() -> None:
    """Without a listener to look at, the call is made and says more."""
    assert speech("127.0.0.1", free_port()) == "maybe grpc"


def test_http_server_logs_one_request(serve: Serve) -> None:
    """Readiness of an HTTP/1 server leaves no strange line in its log, and no line a second."""
    port, process = serve(HTTP)
    ready = Readiness(RunnerSettings(port=port, port_declared=True), Opinion)
    assert [ready.verdict(1.0).ready for _ in range(3)] == [True] * 3
    process.terminate()
    logged = process.communicate(timeout=5)[1].splitlines()
    assert len(logged) == 2  # this handler knows no GET, and tells why
    assert '"GET / HTTP/1.1" 501' in logged[1]


@pytest.mark.parametrize(
    ("source", "expected"), [(ECHO, True), (HTTP, False), (MANY_HEADERS, False)]
)
def test_another_protocol_shows_in_the_answer(serve: Serve, source: str, expected: bool) -> None:
    """However large its headers are, an HTTP server begins as one."""
    assert answers_otherwise("127.0.0.1", serve(source)[0]) is expected
