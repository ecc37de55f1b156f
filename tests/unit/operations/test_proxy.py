"""What `iac proxy` refuses before it starts anything, and what leaves its containers alone."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import cast

import pytest

from iac_wrapper.adapters.attached_container import AttachedContainer
from iac_wrapper.errors import CommandError, ConfigError
from iac_wrapper.identity import operator
from iac_wrapper.model.event import Event
from iac_wrapper.model.options import Options
from iac_wrapper.model.way import Way
from iac_wrapper.operations import heal, operators, proxy
from iac_wrapper.operations.infrastructure import sweep_orphans
from iac_wrapper.operations.proxy import READY, OpenWay, Ways, find_web, open_ways
from iac_wrapper.operations.workspace import Workspace
from tests.support.deployed import app, deployed
from tests.support.docker_daemon import Daemon, FakeContainer


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def _refused(workspace: Workspace, *ways: Way) -> str:
    with pytest.raises(ConfigError) as caught, open_ways(workspace, ways):
        pytest.fail("opened")
    return str(caught.value)


def test_what_cannot_be_is_refused_before_anything_starts(
    workspace: Workspace, engine_double: Daemon, taken: int
) -> None:
    """Also where the first of several could be: no deploy, no such service or port, a local port
    that somebody has."""
    assert "nothing is deployed in project demo" in _refused(workspace, Way("web"))
    deployed(workspace.layout, app("web"), app("api"))
    unknown = _refused(workspace, Way("web"), Way("wob"))
    assert "no service wob in project demo" in unknown
    assert "api, web" in unknown
    assert "web offers no port 5432" in _refused(workspace, Way("web", 5432))
    in_use = _refused(workspace, Way("api"), Way("web", None, taken))
    assert f"port {taken} on 127.0.0.1 is in use" in in_use
    assert "iac proxy web (takes a free port)" in in_use
    lock = deployed(
        workspace.layout,
        replace(app("clock"), run="worker"),
        replace(app("db"), options=Options(tcp=(5432,))),
    )
    assert "clock gets no requests" in _refused(workspace, Way("clock"))
    with pytest.raises(ConfigError, match="by its TCP ports"):
        find_web(workspace, lock, "db")
    assert engine_double.calls == []


class StandIn:
    """One that answers, until its other end is closed."""

    output = READY

    def __init__(self) -> None:
        self.end, self._open = os.pipe()
        self.sent: list[bytes] = []

    def fileno(self) -> int:
        return self.end

    def send(self, line: bytes) -> None:
        self.sent.append(line)

    def receive(self) -> bool:
        return False

    def close(self) -> None:
        os.close(self._open)


def test_a_leaf_that_cannot_be_renewed_ends_no_way(
    workspace: Workspace, events: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that it has is good for as long again: it is said once, and tried later."""
    monkeypatch.setattr(proxy, "RENEW_SECONDS", 0.01)
    monkeypatch.setattr(operator, "RENEW_SECONDS", 0.0)
    ways = Ways(workspace, deployed(workspace.layout, app("web")))
    container = StandIn()
    ways.add(OpenWay("web", 1, None), cast(AttachedContainer, container))
    (workspace.layout.secrets / "ca.pem").unlink()
    threading.Timer(0.3, container.close).start()
    with pytest.raises(CommandError):
        ways.wait()
    said = [event.message for event in events if event.kind == "warning"]
    assert (len(container.sent), len(said), "ca.pem" in said[0]) == (1, 1, True)


def test_a_deploy_leaves_a_way_alone_and_a_destroy_ends_it(
    workspace: Workspace, engine_double: Daemon, events: list[Event]
) -> None:
    """It is in no state of Terraform's; one that never ran is swept, and none is ever started."""
    deployed(workspace.layout, app("web"))
    engine_double.add(FakeContainer("p", "demo", "web", "operator"))
    engine_double.add(FakeContainer("q", "demo", "web", "operator", state="created", name="q"))
    assert not heal.needs_healing(workspace, workspace.engine.containers("demo"))
    assert heal.heal(workspace) == []
    sweep_orphans(workspace)
    assert list(engine_double.containers) == ["p"]
    operators.end_all(workspace)
    assert engine_double.containers == {}
    assert "web: ending the `iac proxy` that is open" in [event.message for event in events]
