"""Draining as both halves of a service do it: the word between them, and what Envoy is told."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from runner import pair as runner_side
from runner.listeners import Listener
from runner.sidecar.drain import ProgramRequests
from runner.sidecar.endpoint import Follower
from runner.sidecar.pair import Pair


class Requests:
    """Calls in flight that last until the test says so."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.ended = threading.Event()

    def open(self) -> None:
        self.said.append("open")

    def drain(self) -> None:
        self.said.append("drain")
        self.ended.wait(5)


@pytest.fixture
def name() -> str:
    return f"\0iac-test-{secrets.token_hex(4)}"


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_runner_hears_when_calls_have_ended(name: str) -> None:
    """And the sidecar, when the program has: each waits for the other's word."""
    old = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    try:
        requests = Requests()
        sidecar = Pair(os.getuid(), requests, name)
        sidecar.serve()
        runner = runner_side.Pair(os.getuid(), name)
        assert not runner.say("drain"), "not connected yet"
        runner.follow()
        eventually(lambda: runner.say("drain"))
        eventually(lambda: requests.said == ["open", "drain"])
        assert not runner.drained
        requests.ended.set()
        eventually(lambda: runner.drained)
        leaving = threading.Thread(target=sidecar.leave, args=(5,))
        leaving.start()
        eventually(lambda: runner.stop)
        assert leaving.is_alive()
        assert runner.say("ended")
        leaving.join(2)
        assert not leaving.is_alive()
        assert requests.said == ["open", "drain", "drain"]
    finally:
        signal.sigtimedwait({signal.SIGCHLD}, 0)
        signal.pthread_sigmask(signal.SIG_SETMASK, old)


def test_nobody_but_the_runner_is_listened_to(name: str) -> None:
    """The program is in the same network namespace: the kernel tells its uid."""
    requests = Requests()
    Pair(os.getuid() + 1, requests, name).serve()
    with socket.socket(socket.AF_UNIX) as program:
        program.connect(name)
        program.settimeout(5)
        assert program.recv(10) == b""
    assert requests.said == []
    runner = runner_side.Pair(os.getuid() + 1, name)
    runner.follow()
    time.sleep(0.1)
    assert not runner.say("drain"), "who answers is not the Envoy container's init"


class Admin:
    """Envoy's admin socket, with the numbers that a test sets."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.requests = self.upgraded = self.hosts = 0

    def __call__(self, method: str, target: str) -> str:
        if method == "POST":
            self.asked.append(target)
            return "OK"
        return (
            f"cluster.app_http.membership_total: {self.hosts}\n"
            f"cluster.app_http.upstream_rq_active: {self.requests}\n"
            "cluster.app_grpc.upstream_rq_active: 0\n"
            f"http.inbound.downstream_cx_upgrades_active: {self.upgraded}\n"
        )


@pytest.fixture
def follower(tmp_path: Path) -> Follower:
    made = Follower(8080, False, tmp_path / "app.json", lambda: [Listener(8080, "127.0.0.1")])
    made.step()
    return made


def test_draining_refuses_first_and_waits_for_calls(follower: Follower, tmp_path: Path) -> None:
    """No endpoint, and GOAWAY; then until no call is in flight, or none but endless ones."""
    admin = Admin()
    requests = ProgramRequests(follower, 5, admin, 0.01)
    admin.requests = 1
    draining = threading.Thread(target=requests.drain)
    draining.start()
    time.sleep(0.1)
    assert draining.is_alive()
    assert '"endpoints": []' in (tmp_path / "app.json").read_text()
    assert admin.asked == ["/healthcheck/fail"]
    admin.requests = 0
    draining.join(2)
    assert not draining.is_alive()
    requests.open()
    assert "8080" in (tmp_path / "app.json").read_text()
    assert admin.asked == ["/healthcheck/fail", "/healthcheck/ok"]


def test_a_pause_ends_by_itself_unless_something_else_was_said(
    follower: Follower, tmp_path: Path
) -> None:
    """Whoever asked for it may be gone; a stop that has begun meanwhile goes on."""
    admin = Admin()
    requests = ProgramRequests(follower, 5, admin, 0.01)
    requests.pause(0.2)
    assert '"endpoints": []' in (tmp_path / "app.json").read_text()
    eventually(lambda: "8080" in (tmp_path / "app.json").read_text())
    requests.pause(0.1)
    requests.drain()
    time.sleep(0.3)
    assert '"endpoints": []' in (tmp_path / "app.json").read_text()
    assert admin.asked.count("/healthcheck/ok") == 1


def test_draining_has_an_end(follower: Follower, monkeypatch: pytest.MonkeyPatch) -> None:
    """WebSockets are waited for a while, calls as long as the grace says; an Envoy that is gone,
    not at all."""
    monkeypatch.setattr("runner.sidecar.drain.UPGRADED_SECONDS", 0.2)
    admin = Admin()
    for numbers, least, most in (((1, 1), 0.2, 0.5), ((2, 1), 0.7, 1.5)):
        admin.requests, admin.upgraded = numbers
        begin = time.monotonic()
        ProgramRequests(follower, 0.7, admin, 0.01).drain()
        assert least <= time.monotonic() - begin < most
    begin = time.monotonic()
    ProgramRequests(follower, 5, lambda *_: "", 0.01).drain()
    assert time.monotonic() - begin < 0.2
