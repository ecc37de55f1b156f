"""What is told to sidecars where none answers, and what a plain apply is not to send."""

from __future__ import annotations

from dataclasses import replace

import pytest

from iac_wrapper.cli.render import policy_table
from iac_wrapper.errors import ConfigError
from iac_wrapper.files import lock_file
from iac_wrapper.identity.sidecar_policy import PolicyState
from iac_wrapper.model import policy as model
from iac_wrapper.model.event import Event
from iac_wrapper.model.options import Options
from iac_wrapper.operations import policy, push_policies
from iac_wrapper.operations.policy import PolicyRow
from iac_wrapper.operations.workspace import Workspace
from tests.support.deployed import app, deployed
from tests.support.docker_daemon import Daemon, FakeContainer


def test_a_sidecar_that_is_down_is_a_remark(workspace: Workspace, engine_double: Daemon) -> None:
    """Nothing is sent to what does not run, and nobody fails over it."""
    lock = deployed(workspace.layout, app("web"), app("db"))
    policy.feed(workspace, lock)
    assert policy.push(workspace.layout, lock, model.policies(lock), patience=0).keys() == {
        "db",
        "web",
    }
    assert [row.sidecar for row in policy.policy(workspace)] == ["down", "down"]
    assert policy.refresh(workspace) == []
    assert policy.stale(workspace, lock) == []


@pytest.mark.parametrize("name", ["live", "candidate"])
def test_a_candidate_is_told_in_place_of_a_recorded_sidecar_that_is_down(
    workspace: Workspace,
    engine_double: Daemon,
    events: list[Event],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    """If it has the traffic: it is asked, though it does not answer here."""
    monkeypatch.setattr(policy, "PATIENCE", 0.0)
    lock = deployed(workspace.layout, app("web"))
    engine_double.add(FakeContainer("e", "demo", "web", "envoy", state="exited"))
    beside = FakeContainer("c", "demo", "web", "candidate-envoy", name=f"demo-web-{name}")
    engine_double.add(beside)
    policy.feed(workspace, lock)
    told = ["web: its sidecar was not told"] if name == "live" else []
    assert [event.message.partition(" who")[0] for event in events] == told


def test_another_lock_than_the_planned_one_is_not_sent(workspace: Workspace) -> None:
    """What was planned is what people agreed to."""
    lock = deployed(workspace.layout, app("web"))
    path = workspace.layout.root / "repos.lock.json"
    lock_file.save_lock(lock, path)
    (line,) = push_policies.main(workspace.layout.root, path, model.digest(lock))
    assert line.startswith("web: not told who may call it (")
    with pytest.raises(ConfigError, match="not those that were planned"):
        push_policies.main(workspace.layout.root, path, "0" * 64)


def test_the_table_says_who_may_and_who_did(workspace: Workspace) -> None:
    """Callers that may not any more or are gone, what was refused, another policy than wanted."""
    allow = {"web": ("/api/*", "tcp:5432")}
    apps = replace(app("db"), options=Options(allow=allow)), app("web"), app("api")
    wanted = model.policies(deployed(workspace.layout, *apps))
    state = PolicyState("0" * 64, {"web": 7, "api": 1, "old": 2, "control-plane": 40}, refused=3)
    rows = [
        PolicyRow("db", wanted["db"], "another policy", state),
        PolicyRow("web", wanted["web"], "down", None),
    ]
    assert [line.split() for line in policy_table(rows).splitlines()[1:5]] == [
        ["db", "api", "nothing", "any", "more", "1"],
        ["db", "db", "everything", "0"],
        ["db", "old", "removed", "from", "the", "project", "2"],
        ["db", "web", "/api/*,", "tcp:5432", "7"],
    ]
    text = policy_table(rows)
    assert "db: refused 3 since its sidecar started" in text
    assert "db: its sidecar holds another policy" in text
    assert "web: its sidecar does not answer" in text
    assert rows[0].to_dict()["others"] == {"control-plane": 40}
