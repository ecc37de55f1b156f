"""A service at a limit, and who made it so."""

from __future__ import annotations

from collections import Counter

import pytest

from iac_wrapper.operations.at_limits import at_limits
from iac_wrapper.operations.workspace import Workspace
from runner.sidecar import crowd, limits
from tests.support.docker_daemon import Daemon, FakeContainer


def said(workspace: Workspace, daemon: Daemon, app: FakeContainer, log: str = "") -> list[str]:
    """The sentences on demo's web, whose sidecar has written `log`."""
    envoy = FakeContainer("demo-web-envoy", "demo", "web", "envoy", log=[(2, log.encode())])
    for each in (envoy, app):
        daemon.add(each)
    return list(at_limits(workspace, envoy.id, workspace.engine.container(app.id)))


@pytest.mark.parametrize("state", ["running", "exited"])
def test_one_that_takes_all_processes_is_told_its_limit(
    workspace: Workspace, engine_double: Daemon, state: str
) -> None:
    """Only while it runs: one that has ended has none."""
    app = FakeContainer("demo-web-app", "demo", "web", "app", state=state, processes=1030)
    texts = said(workspace, engine_double, app)
    assert [text.partition(":")[0] for text in texts] == (
        ["it has 1030 processes and threads of at most 1152, its program of at most 1024"]
        if state == "running"
        else []
    )
    app.processes = 900
    assert said(workspace, engine_double, app) == []


@pytest.mark.parametrize(
    ("address", "who"), [("10.0.0.7", "shop"), ("10.0.0.9", "somebody who is not of the project")]
)
def test_who_holds_all_connections_is_named(
    workspace: Workspace, engine_double: Daemon, address: str, who: str
) -> None:
    """By the line of the sidecar and the addresses of the project's containers."""
    engine_double.add(FakeContainer("s", "demo", "shop", "envoy", address="10.0.0.7"))
    line = crowd.sentence(Counter({address: 640, "10.0.0.2": 3}), limits.of_memory(256 << 20))
    app = FakeContainer("demo-web-app", "demo", "web", "app")
    assert said(workspace, engine_double, app, f"sidecar: {line}\nanother\n") == [
        f"{who} ({address}) holds 640 connections to it and gets no more: at most 1280 are taken,"
        " 640 from one caller"
    ]


def test_a_program_that_holds_all_that_its_sidecar_takes_from_it_is_named(
    workspace: Workspace, engine_double: Daemon
) -> None:
    """Nobody else is at fault, and others still get in."""
    line = crowd.own_sentence(960, limits.of_memory(256 << 20))
    app = FakeContainer("demo-web-app", "demo", "web", "app")
    assert said(workspace, engine_double, app, f"sidecar: {line}\n") == [
        "its program holds 960 connections to its own sidecar of at most 960 and gets no more:"
        " it opens them faster than it ends them"
    ]
    assert crowd.own_sentence(959, limits.of_memory(256 << 20)) is None
