from __future__ import annotations

from iac_wrapper.model.event import Event
from iac_wrapper.operations import history
from iac_wrapper.operations.heal import (
    heal,
    heal_accidents,
    heal_recorded,
    needs_healing,
)
from iac_wrapper.operations.workspace import Workspace
from tests.support.docker_daemon import Daemon, FakeContainer

_EARLY, _LATE = "2026-01-01T00:00:00.1Z", "2026-01-01T00:00:00.123456789Z"


def _pair(daemon: Daemon, *, envoy: str, app: str, app_started: str = _LATE) -> None:
    made = (
        FakeContainer("e", "demo", "web", "envoy", state=envoy, started_at=_EARLY),
        FakeContainer(
            "a", "demo", "web", "app", state=app, started_at=app_started, network_mode="container:e"
        ),
    )
    for each in made:
        each.host_config["PidsLimit"] = 1152
        daemon.add(each)


def test_a_healthy_pair_is_left_alone(workspace: Workspace, engine_double: Daemon) -> None:
    """Nothing to do: nothing is called."""
    _pair(engine_double, envoy="running", app="running")
    assert heal(workspace) == []
    assert engine_double.calls == []


def test_a_stopped_pair_starts_owner_first(workspace: Workspace, engine_double: Daemon) -> None:
    """After an engine restart both are down: Envoy, which owns the namespace, starts first."""
    _pair(engine_double, envoy="exited", app="exited")
    assert heal(workspace) == ["demo-web-envoy: started", "demo-web-app: started"]
    assert heal(workspace) == []


def test_what_was_healed_is_in_the_ledger(workspace: Workspace, engine_double: Daemon) -> None:
    """By a person or not; a look that finds nothing is not."""
    _pair(engine_double, envoy="exited", app="exited")
    workspace.directory.mkdir(parents=True)
    done = heal_recorded(workspace)
    assert len(done) == 2
    assert heal_recorded(workspace) == []
    assert heal_accidents(workspace)
    (event,) = history.history(workspace).entries
    assert (event.kind, event.is_release, event.facts["done"]) == ("heal", False, done)


def test_an_app_in_a_dead_namespace_is_restarted(
    workspace: Workspace, engine_double: Daemon
) -> None:
    """An app that started before its Envoy container sits in the old namespace."""
    _pair(engine_double, envoy="running", app="running", app_started="2025-01-01T00:00:00Z")
    assert heal(workspace) == ["demo-web-app: restarted to join its Envoy's network"]


def test_an_app_without_its_owner_is_left_to_terraform(
    workspace: Workspace, engine_double: Daemon
) -> None:
    """No Envoy container: starting the app cannot work; the next apply makes both."""
    engine_double.add(
        FakeContainer("a", "demo", "web", "app", state="exited", network_mode="container:gone")
    )
    assert heal(workspace) == []


def test_one_that_cannot_start_does_not_keep_the_others_down(
    workspace: Workspace, engine_double: Daemon, events: list[Event]
) -> None:
    """A gateway whose port is taken is a warning; the services come up."""
    engine_double.add(FakeContainer("g", "demo", "", "gateway", state="exited", broken=True))
    _pair(engine_double, envoy="exited", app="exited")
    assert heal(workspace) == ["demo-web-envoy: started", "demo-web-app: started"]
    assert [e.kind for e in events if "port is already allocated" in e.message] == ["warning"]


def test_what_a_person_stopped_stays_stopped(workspace: Workspace, engine_double: Daemon) -> None:
    """The engine says why it could not start one; where it says nothing, somebody stopped it."""
    _pair(engine_double, envoy="running", app="exited")
    assert not needs_healing(workspace, workspace.engine.containers("demo"))
    assert heal_accidents(workspace)
    assert heal(workspace, accidents_only=True) == engine_double.calls == []
    engine_double.containers["a"].start_error = "cannot join the network of a container that is not"
    assert needs_healing(workspace, workspace.engine.containers("demo"))
    assert heal_accidents(workspace)
    assert engine_double.calls == ["POST /containers/a/start"]


def test_what_the_engine_left_stopped_is_no_persons_doing(
    workspace: Workspace, engine_double: Daemon
) -> None:
    """What ran when it went away is started, what a person had stopped before is not."""
    _pair(engine_double, envoy="exited", app="exited")
    assert heal_accidents(workspace, ran=["another"])
    assert engine_double.calls == []
    assert heal_accidents(workspace, ran=["e", "a"])
    assert engine_double.calls == ["POST /containers/e/start", "POST /containers/a/start"]


def test_an_app_whose_envoy_a_person_stopped_is_left_alone(
    workspace: Workspace, engine_double: Daemon
) -> None:
    """It has no network to join, though the engine says why it did not start."""
    _pair(engine_double, envoy="exited", app="exited")
    engine_double.containers["a"].start_error = "its namespace is gone"
    assert not needs_healing(workspace, workspace.engine.containers("demo"))
    assert heal(workspace, accidents_only=True) == []
    assert heal(workspace) == ["demo-web-envoy: started", "demo-web-app: started"]


def test_a_repair_waits_for_the_command_at_work(
    workspace: Workspace, engine_double: Daemon
) -> None:
    """It stops containers on purpose."""
    _pair(engine_double, envoy="running", app="exited")
    engine_double.containers["a"].start_error = "its namespace is gone"
    with workspace.hold("iac deploy"):
        assert heal_accidents(workspace) is None
    assert engine_double.calls == []
