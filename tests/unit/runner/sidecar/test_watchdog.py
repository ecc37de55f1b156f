from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from runner.sidecar import watchdog
from runner.sidecar.watchdog import Watchdog

_SERVER = """
import http.server
server = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
print(server.server_port, flush=True)
server.serve_forever()
"""


@pytest.fixture(name="server")
def fixture_server() -> Iterator[tuple[subprocess.Popen[str], int]]:
    argv = [sys.executable, "-c", _SERVER]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as it:
        assert it.stdout
        try:
            yield it, int(it.stdout.readline())
        finally:
            it.kill()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "ANSWER_SECONDS", 0.2)


def test_one_that_hangs_is_ended(server: tuple[subprocess.Popen[str], int]) -> None:
    """A stopped process takes connections and says nothing."""
    process, port = server
    guard = Watchdog(port, lambda: process.pid)
    for _ in range(watchdog.STRIKES + 1):
        guard.step()
    assert process.poll() is None
    process.send_signal(signal.SIGSTOP)
    for _ in range(watchdog.STRIKES - 1):
        guard.step()
    assert process.poll() is None
    guard.step()
    assert process.wait(5) == -signal.SIGKILL


def test_silence_is_counted_anew_after_an_answer(
    server: tuple[subprocess.Popen[str], int],
) -> None:
    """A program that was slow for a while is not hanging."""
    process, port = server
    guard = Watchdog(port, lambda: process.pid)
    for _ in range(3):
        process.send_signal(signal.SIGSTOP)
        for _ in range(watchdog.STRIKES - 1):
            guard.step()
        process.send_signal(signal.SIGCONT)
        time.sleep(0.05)
        guard.step()
    assert process.poll() is None


def test_another_process_has_its_own_count(server: tuple[subprocess.Popen[str], int]) -> None:
    """One that has just been started is not ended for the silence of the one before."""
    process, port = server
    pids = [1, 1, process.pid]
    guard = Watchdog(port, lambda: pids.pop(0))
    process.send_signal(signal.SIGSTOP)
    for _ in range(3):
        guard.step()
    assert process.poll() is None


def test_one_that_is_being_started_is_left_alone() -> None:
    """It refuses connections."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        guard = Watchdog(1, lambda: process.pid)
        for _ in range(watchdog.STRIKES + 1):
            guard.step()
        assert process.poll() is None
        process.kill()
