from __future__ import annotations

import pytest

from iac_wrapper.model.event import Event
from iac_wrapper.operations import candidates, unfinished_rollout, verify
from iac_wrapper.operations.heal import heal
from iac_wrapper.operations.logs import logs
from iac_wrapper.operations.workspace import Workspace
from tests.support.deployed import app, deployed
from tests.support.docker_daemon import Daemon, FakeContainer


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's answers live for a second here."""
    monkeypatch.setattr(candidates, "MOVE_SECONDS", 0.0)


def _pair(daemon: Daemon, *, live: bool, state: str = "running") -> None:
    name = "demo-web-live" if live else "demo-web-candidate"
    daemon.add(FakeContainer("ce", "demo", "web", "candidate-envoy", state=state, name=name))
    daemon.add(
        FakeContainer(
            "ca",
            "demo",
            "web",
            "candidate-app",
            state=state,
            network_mode="container:ce",
            log=[(1, b"from the candidate\n")],
        )
    )


def test_traffic_moves_by_a_name_and_back(workspace: Workspace, engine_double: Daemon) -> None:
    """Going live is a rename; retiring renames back first, and stops Envoy before the program."""
    _pair(engine_double, live=False)
    assert not candidates.pairs(workspace)["web"].live

    candidates.go_live(workspace, ["web"])
    assert candidates.pairs(workspace)["web"].live

    engine_double.calls.clear()
    candidates.retire(workspace, ["web"])
    assert engine_double.calls == [
        "POST /containers/ce/rename",
        "POST /containers/ce/stop",
        "POST /containers/ca/stop",
        "DELETE /containers/ca",
        "DELETE /containers/ce",
    ]


def test_what_failed_goes_and_what_has_the_traffic_stays(
    workspace: Workspace, engine_double: Daemon
) -> None:
    """Discarding spares a live candidate; a destroy does not."""
    _pair(engine_double, live=True)
    candidates.discard(workspace)
    assert set(engine_double.containers) == {"ce", "ca"}
    candidates.discard(workspace, live=True)
    assert engine_double.containers == {}


def test_a_killed_deploys_candidate_without_traffic_is_removed(
    workspace: Workspace, engine_double: Daemon, events: list[Event]
) -> None:
    """The next deploy says so, and removes it."""
    _pair(engine_double, live=False)
    unfinished_rollout.settle(workspace, deployed(workspace.layout, app("web")))
    assert engine_double.containers == {}
    assert [event.message for event in events] == [
        "web: removing the candidate of an unfinished deploy"
    ]


def test_a_killed_deploys_candidate_with_traffic_stays_while_it_is_alone(
    workspace: Workspace, engine_double: Daemon
) -> None:
    """The recorded pair does not answer: the candidate is all that serves. The next deploy asks
    the recorded Envoy by its container's name."""
    _pair(engine_double, live=True)
    unfinished_rollout.settle(workspace, deployed(workspace.layout, app("web")))
    assert set(engine_double.containers) == {"ce", "ca"}
    assert unfinished_rollout.recorded_envoys(workspace) == {"web": "demo-web-envoy"}


def test_heal_starts_a_candidate_only_if_it_has_the_traffic(
    workspace: Workspace, engine_double: Daemon, events: list[Event]
) -> None:
    """After a restart of the engine it may be all that serves; and a person is told of it."""
    deployed(workspace.layout, app("web"))
    _pair(engine_double, live=False, state="exited")
    assert heal(workspace) == []

    engine_double.containers["ce"].name = "demo-web-live"
    assert heal(workspace) == ["demo-web-live: started", "demo-web-candidate-app: started"]
    unfinished_rollout.warn(workspace)
    assert any("has the traffic; `iac deploy` finishes it" in event.message for event in events)


def test_logs_show_a_candidate_that_has_the_traffic(
    workspace: Workspace, engine_double: Daemon
) -> None:
    """It is what serves; without traffic it is the deploy's own business."""
    _pair(engine_double, live=True)
    found = [(record.role, record.line) for record in logs(workspace, [], roles=["app"], tail=9)]
    assert found == [("candidate-app", "from the candidate")]
    engine_double.containers["ce"].name = "demo-web-candidate"
    assert list(logs(workspace, [], roles=["app"], tail=9)) == []


def test_the_verdict_reads_the_pair_that_has_the_traffic(
    workspace: Workspace, engine_double: Daemon
) -> None:
    """How the recorded one ended says nothing of what serves."""
    lock = deployed(workspace.layout, app("web"))
    engine_double.add(FakeContainer("a", "demo", "web", "app", state="exited", oom_killed=True))
    _pair(engine_double, live=True)
    (row,) = verify.verify(workspace, lock, wait=0).services
    assert row.diagnosis
    assert row.diagnosis.state == "running, 0 restarts; the program has not ended"
    engine_double.containers["ce"].name = "demo-web-candidate"
    (row,) = verify.verify(workspace, lock, wait=0).services
    assert row.diagnosis
    assert row.diagnosis.state.startswith("exited")
