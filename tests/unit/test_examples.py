"""The examples are what they claim to be: each is detected as the kind it shows."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from iac_wrapper.files import repos_file
from iac_wrapper.program.dependencies import find_dependencies
from iac_wrapper.program.detection import detect

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.mark.parametrize(
    ("name", "kind", "display", "dependencies"),
    [
        ("hello-main", "script", "main.py:main", "none"),
        ("greeter-grpc", "module", "greeter", "requirements.txt"),
        ("flask-app", "script", "app.py", "[project]"),
        ("caller", "module", "caller:main", "[project]"),
        ("shell-main", "binary", "/app/main", "none"),
    ],
)
def test_detection(name: str, kind: str, display: str, dependencies: str) -> None:
    """Every example is found without an override, in its own way."""
    found = detect(EXAMPLES / name).entrypoint
    assert (found.kind, found.display) == (kind, display)
    assert find_dependencies(EXAMPLES / name, found).reason.startswith(dependencies)


def test_repos_yaml_lists_every_example() -> None:
    """No example is forgotten, and each entry is a directory that exists; one with a file of its
    own is an example by itself."""
    specs = repos_file.load_entries(EXAMPLES / "repos.yaml")
    assert repos_file.load_entries(EXAMPLES / "notes" / "repos.yaml")
    found = [path for path in EXAMPLES.iterdir() if path.is_dir()]
    directories = {path.name for path in found if not (path / "repos.yaml").exists()}
    assert {spec.name for spec in specs} == directories


def test_the_shell_example_stops_when_asked() -> None:
    """SIGTERM ends it with exit code 0, within the time Docker gives."""
    argv = [str(EXAMPLES / "shell-main" / "main")]
    environment = {**os.environ, "IAC_SERVICE": "shell-main"}
    process = subprocess.Popen(
        argv, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True
    )
    assert process.stdout is not None
    assert "service shell-main" in process.stdout.readline()
    assert process.stdout.readline() == "beat 1\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=5) == 0
    with suppress(ProcessLookupError):  # its sleep may have been starting just then
        os.killpg(process.pid, signal.SIGKILL)
    assert process.stdout.read() == "asked to stop\n"
    process.stdout.close()


def test_the_flask_example_serves_on_its_port() -> None:
    """It takes PORT and GREETING from the environment, like every service."""
    app = EXAMPLES / "flask-app" / "app.py"
    with _running([str(app)], GREETING="Servus") as port:
        assert json.loads(_get(f"http://127.0.0.1:{port}/")) == {"greeting": "Servus"}


def test_the_greeter_example_answers_and_reports_its_health() -> None:
    """It speaks gRPC in plain text on PORT and says SERVING by the standard health service."""
    with (
        _running(["-m", "greeter"], cwd=EXAMPLES / "greeter-grpc") as port,
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        greet = channel.unary_unary(
            "/greeter.Greeter/SayHello", str.encode, response_deserializer=bytes.decode
        )
        assert greet("Ada", timeout=10, wait_for_ready=True) == "Hello, Ada!"
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


@contextmanager
def _running(argv: list[str], *, cwd: Path | None = None, **env: str) -> Iterator[int]:
    """Start an example with a free port, yield the port, end it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    environment = {**os.environ, "PORT": str(port), **env}
    process = subprocess.Popen(
        [sys.executable, *argv],
        cwd=cwd,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield port
    finally:
        process.kill()
        process.wait()


def _get(url: str, patience: float = 10.0) -> bytes:
    give_up = time.monotonic() + patience
    while True:
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - our own process
                body: bytes = answer.read()
                return body
        except OSError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.05)
