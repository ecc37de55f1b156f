"""A real runner process on free ports, around real programs."""

from __future__ import annotations

import ctypes
import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty

from iac_wrapper.grpc_pb import controlplane_pb2 as pb
from iac_wrapper.grpc_pb import controlplane_pb2_grpc as pb_grpc

ROOT = Path(__file__).parents[3]

FAST_RECONNECT = [(f"grpc.{name}_reconnect_backoff_ms", 30) for name in ("initial", "min", "max")]
"""The first call comes before the runner listens; gRPC would wait a second to try again."""

PR_SET_CHILD_SUBREAPER = 36


_ports = itertools.count(20000 + os.getpid() % 200 * 50)


def free_port() -> int:
    """A port nobody listens on, below the range the kernel gives to clients, never twice."""
    for port in _ports:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port
    raise AssertionError("unreachable")


@dataclass
class Runner:
    """A runner under test: its process, and a stub to talk to it."""

    process: subprocess.Popen[str]
    stub: Any
    port: int
    address: str
    output: list[str] = field(default_factory=list)

    def health(self) -> Any:
        """HealthCheck, now."""
        return self.stub.HealthCheck(Empty(), wait_for_ready=True, timeout=5)

    def until(self, wanted: Callable[[Any], bool], seconds: float = 30.0) -> Any:
        """Poll HealthCheck until `wanted`."""
        deadline = time.monotonic() + seconds
        while True:
            status = self.health()
            if wanted(status):
                return status
            assert time.monotonic() < deadline, f"still: {status}"
            time.sleep(0.03)

    def log(self, *, at_least: int = 0, **request: Any) -> list[tuple[int, str]]:
        """Captured lines as (stream, text); polls until there are `at_least` so many."""
        deadline = time.monotonic() + 10
        while True:
            stream = self.stub.StreamLogs(pb.LogRequest(**request), timeout=5)
            lines = [(line.stream, line.msg) for line in stream]
            if len(lines) >= at_least:
                return lines
            assert time.monotonic() < deadline, f"only {lines}"
            time.sleep(0.03)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Signal the runner and return its exit code."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self, seconds: float = 5.0) -> int:
        """Wait for the runner's end."""
        out, err = self.process.communicate(timeout=seconds)
        self.output[:] = [out, err]
        return self.process.returncode


Start = Callable[..., Runner]

_prctl = ctypes.CDLL(None).prctl


def _become_subreaper() -> None:
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts runners around Python source text (or an argv), and ends them."""
    started: list[Runner] = []
    channels: list[grpc.Channel] = []

    def _start(program: str | list[str], **env: str) -> Runner:
        argv = [sys.executable, "-c", program] if isinstance(program, str) else program
        address, port = f"127.0.0.1:{free_port()}", free_port()
        process = subprocess.Popen(
            [sys.executable, "-m", "runner", "--", *argv],
            cwd=ROOT,
            env={
                **os.environ,
                "IAC_RUNNER_ADDRESS": address,
                "IAC_SERVICE": "svc",
                "PORT": str(port),
                "PYTHONUNBUFFERED": "1",
                "IAC_SETTLE": "0.2",
                "IAC_PROBATION": "0.7",
                **env,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # Orphans come to the runner as they come to PID 1 of a container.
            preexec_fn=_become_subreaper,  # noqa: PLW1509 - one system call, nothing to deadlock
        )
        channel = grpc.insecure_channel(address, FAST_RECONNECT)
        channels.append(channel)
        runner = Runner(process, pb_grpc.ControlPlaneStub(channel), port, address)
        started.append(runner)
        return runner

    yield _start
    for channel in channels:
        channel.close()
    for runner in started:
        if runner.process.poll() is None:
            runner.process.terminate()
            try:
                runner.wait(3)
            except subprocess.TimeoutExpired:
                runner.process.kill()
                runner.wait(3)
        for stream in (runner.process.stdout, runner.process.stderr):
            if stream:
                stream.close()
