"""What the keeper looks at and whom it restarts; tests/e2e has it on the real engine."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime

import pytest

from iac_wrapper.identity import certificates
from iac_wrapper.operations import keeper, roll_call
from iac_wrapper.operations.keeper import Keeper
from iac_wrapper.operations.workspace import Workspace
from tests.support.deployed import app, deployed
from tests.support.docker_daemon import Daemon, FakeContainer

_HANDSHAKE = b"\x16"
"""How a record of TLS begins that is one."""


@pytest.fixture
def gateway() -> Iterator[int]:
    """The port of one that lives, before an Envoy that hangs: it takes handshakes and is silent.

    The first one is refused at once: it is for the question about policies, which is no test's.
    """
    server, kept = socket.create_server(("127.0.0.1", 0)), []

    def answer() -> None:
        with suppress(OSError):
            server.accept()[0].close()
            while True:
                client, _ = server.accept()
                kept.append(client)
                if client.recv(1) != _HANDSHAKE:
                    client.sendall(b"HTTP/1.1 404 -\r\nContent-Length: 0\r\n\r\n")

    threading.Thread(target=answer, daemon=True).start()
    yield server.getsockname()[1]
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    for each in kept:
        each.close()


def _pair(daemon: Daemon, *, prefix: str = "", envoy: str = "") -> None:
    limited = {"PidsLimit": 1152}
    made = FakeContainer(f"{prefix}e", "demo", "web", f"{prefix}envoy", host_config=limited)
    made.name = envoy
    daemon.add(made)
    mode = f"container:{prefix}e"
    daemon.add(
        FakeContainer(
            f"{prefix}a",
            "demo",
            "web",
            f"{prefix}app",
            network_mode=mode,
            started_at="2026-01-02T00:00:00Z",
            host_config=limited,
        )
    )


@pytest.fixture
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roll_call, "ANSWER_SECONDS", 0.1)
    monkeypatch.setattr(keeper, "SUSPECT_SECONDS", 0.0)


@pytest.mark.usefixtures("_at_once")
@pytest.mark.parametrize(
    ("name", "restarted"), [("demo-web-live", "candidate-"), ("demo-web-candidate", "")]
)
def test_what_hangs_is_the_one_that_has_the_traffic(
    workspace: Workspace, engine_double: Daemon, gateway: int, name: str, restarted: str
) -> None:
    """After a rollout that did not end that is the candidate; it is asked by the service's name."""
    deployed(workspace.layout, app("web"), gateway_port=gateway)
    _pair(engine_double)
    _pair(engine_double, prefix="candidate-", envoy=name)
    kept = Keeper(workspace)
    while not engine_double.calls:
        kept.step(news=False)
    assert engine_double.calls == [
        f"POST /containers/{restarted}{each}/restart" for each in ("e", "a")
    ]


@pytest.mark.usefixtures("_at_once")
def test_what_was_started_since_it_fell_silent_is_not_restarted(
    workspace: Workspace, engine_double: Daemon, gateway: int
) -> None:
    """`iac heal` has just done that: it gets as many questions as any other before it hangs."""
    deployed(workspace.layout, app("web"), gateway_port=gateway)
    _pair(engine_double)
    kept = Keeper(workspace)
    kept.step(news=False)
    for started in engine_double.containers.values():
        started.started_at = datetime.now(UTC).isoformat()
    for _ in range(2 * keeper.ENVOY_STRIKES - 2):
        kept.step(news=False)
    assert engine_double.calls == []
    kept.step(news=False)
    assert engine_double.calls == [f"POST /containers/{each}/restart" for each in ("e", "a")]


def test_the_keeper_mends_the_leaf_that_it_asks_with(workspace: Workspace) -> None:
    """Without one it gets no answer from anybody, and notices no hang."""
    deployed(workspace.layout, app("web"))
    folder = workspace.layout.certificates("demo") / "control-plane"
    (folder / "tls.key").write_bytes(b"")
    Keeper(workspace).step(news=False)
    assert certificates.own_fault(folder, "control-plane", "iacnet-demo") is None


def test_containers_are_listed_once_a_look(workspace: Workspace, engine_double: Daemon) -> None:
    """Each listing asks the engine for every container; only a repair is worth another one."""
    deployed(workspace.layout, app("web"))
    _pair(engine_double)
    kept = Keeper(workspace)
    kept.step(news=True)
    assert (engine_double.listings, engine_double.calls) == (1, [])
    engine_double.containers["a"].state = "exited"
    engine_double.containers["a"].start_error = "its namespace is gone"
    kept.step(news=True)
    assert engine_double.calls == ["POST /containers/a/start"]
    looks = ["the look", "under the lock", "what runs now"]
    assert engine_double.listings == 1 + len(looks)
