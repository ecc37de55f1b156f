"""What is told of containers that should run and do not; tests/e2e has it on the real engine."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from iac_wrapper.adapters import workspace_lock
from iac_wrapper.files import users_file
from iac_wrapper.model.certificate import INGRESS
from iac_wrapper.model.health import Health
from iac_wrapper.model.users import Users
from iac_wrapper.operations import certs, stopped_containers, verify
from iac_wrapper.operations.carrier import Role
from iac_wrapper.operations.services import status
from iac_wrapper.operations.workspace import Workspace
from tests.support.deployed import app, deployed, service
from tests.support.docker_daemon import Daemon, FakeContainer
from tests.support.processes import held_by_another

HEAL, DEPLOY = "iac heal --project demo", "iac deploy --file repos.yaml --project demo"


@pytest.fixture
def web(workspace: Workspace, engine_double: Daemon) -> Workspace:
    """A deployed service, whose containers and gateway run."""
    deployed(workspace.layout, app("web"))
    for each in (
        FakeContainer("g", "demo", "", "gateway", name="demo-gateway"),
        FakeContainer("e", "demo", "web", "envoy"),
        FakeContainer("a", "demo", "web", "app", network_mode="container:e"),
    ):
        engine_double.add(each)
    return workspace


def _lines(workspace: Workspace) -> list[str]:
    found = stopped_containers.of_project(workspace, workspace.deployed_lock())
    return [each.line for each in found]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, []),
        ({"a": "exited"}, [f"web: its app container is stopped; next: {HEAL}"]),
        # The program has no network without it: that it is down as well is no news.
        (
            {"e": "exited", "a": "exited"},
            [f"web: its Envoy container is stopped; next: {HEAL}"],
        ),
        ({"g": "exited"}, [f"the gateway is stopped; next: {HEAL}"]),
        ({"g": ""}, [f"the gateway is gone; next: {DEPLOY}"]),
        ({"a": "paused"}, ["web: its app container is paused; next: docker unpause demo-web-app"]),
        ({"a": "restarting"}, []),
    ],
)
def test_each_is_a_line_with_the_command_that_mends_it(
    web: Workspace, engine_double: Daemon, changes: dict[str, str], line: list[str]
) -> None:
    for name, state in changes.items():
        engine_double.containers[name].state = state
        if not state:
            del engine_double.containers[name]
    assert _lines(web) == line


def test_one_that_cannot_start_says_why(web: Workspace, engine_double: Daemon) -> None:
    gateway = engine_double.containers["g"]
    gateway.state, gateway.start_error = "exited", "port is already allocated"
    (found,) = stopped_containers.of_project(web, web.deployed_lock())
    assert (found.text, found.evidence) == (
        "the gateway could not be started",
        "demo-gateway: port is already allocated",
    )


def test_what_a_command_has_stopped_is_not_told(web: Workspace, engine_double: Daemon) -> None:
    """It starts it again; what this process itself holds the project for is no such command."""
    engine_double.containers["a"].state = "exited"
    with held_by_another(web.directory):
        assert _lines(web) == []
    with workspace_lock.hold(web.directory, "iac certs rotate"):
        assert len(_lines(web)) == 1


def test_a_candidate_with_the_traffic_is_the_one_that_counts(
    web: Workspace, engine_double: Daemon
) -> None:
    """After a rollout that did not end the recorded pair may be down: it serves nobody."""
    engine_double.containers["a"].state = "exited"
    made = FakeContainer("ce", "demo", "web", "candidate-envoy", name="demo-web-live")
    engine_double.add(made)
    engine_double.add(FakeContainer("ca", "demo", "web", "candidate-app"))
    assert _lines(web) == []
    made.state = "exited"
    (found,) = stopped_containers.of_project(web, web.deployed_lock())
    assert found.name == "demo-web-live"


def test_a_service_behind_one_is_not_good_for_that_reason(
    web: Workspace, engine_double: Daemon
) -> None:
    """It has the container's cause, evidence and next command; one that serves is left alone."""
    gateway = engine_double.containers["g"]
    gateway.state, gateway.exit_code, gateway.finished_at = "exited", 137, "2026-01-02T03:04:05Z"
    names: dict[Role, str] = {"envoy": "demo-web-envoy", "app": "demo-web-app"}
    silent = Health("web", "UNREACHABLE", message="nobody answers", cause="unreachable")
    found = stopped_containers.explained(web, silent, names)
    assert (found.cause, found.message, found.next_step) == (
        "stopped-container",
        "the gateway is stopped",
        HEAL,
    )
    said = "demo-gateway was stopped or killed at 2026-01-02 03:04:05 UTC (exit code 137)"
    assert found.evidence == said
    serves = replace(silent, status="SERVING")
    assert stopped_containers.explained(web, serves, names) == serves


def test_the_verdict_on_a_service_that_somebody_stopped(
    web: Workspace, engine_double: Daemon
) -> None:
    """Neither the log of its program nor `iac logs` has the reason."""
    engine_double.containers["a"].state = "exited"
    engine_double.containers["a"].log = [(1, b"an old line\n")]
    (row,) = verify.verify(web, web.deployed_lock(), wait=0).services
    assert row.diagnosis
    text = row.diagnosis.render("web")
    assert text.splitlines()[0] == "web: its app container is stopped"
    assert f"next: {HEAL}" in text
    assert "old line" not in text


def test_a_status_is_not_good_while_the_gateway_is_down(
    workspace: Workspace, engine_double: Daemon
) -> None:
    """Also where all services still say that they serve, as with the ingress."""
    with service(workspace.layout, "web") as running:
        deployed(workspace.layout, app("web"), gateway_port=running.port)
        running.serving()
        for name in ("envoy", "app"):
            engine_double.add(FakeContainer(name, "demo", "web", name))
        found = status(workspace)
    assert [row.health.serving for row in found.services] == [True]
    assert [each.line for each in found.stopped] == [f"the gateway is gone; next: {DEPLOY}"]
    assert not found.good


def test_a_rotation_that_nobody_can_see_names_what_brings_it_back(
    web: Workspace, engine_double: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not a deploy, which replaces nothing there."""
    monkeypatch.setattr(certs, "SERVED_SECONDS", 0.0)
    users = {name: Users(os.geteuid() - 1) for name in ("gateway", "web")}
    users_file.save_users(users, web.layout.users("demo"))
    engine_double.containers["e"].state = "exited"
    rotated = {each.name: each for each in certs.rotate(web)}
    assert rotated["web"].stopped
    assert rotated["web"].stopped.line == f"web: its Envoy container is stopped; next: {HEAL}"
    assert rotated["control-plane"].good
    found = stopped_containers.unseen(web, INGRESS)
    assert found
    assert found.text == "the ingress is gone"
