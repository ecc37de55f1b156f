"""Who has which uids, decided on an engine double; tests/e2e asks the real one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from iac_wrapper.adapters import uid_record
from iac_wrapper.errors import ConfigError
from iac_wrapper.files import users_file
from iac_wrapper.model.lock import LockFile
from iac_wrapper.model.users import Users
from iac_wrapper.operations import users
from iac_wrapper.operations.workspace import Workspace
from tests.support import deployed
from tests.support.docker_daemon import Daemon, FakeContainer


@pytest.fixture(autouse=True)
def nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without subordinate ids, and without users in our ranges."""
    monkeypatch.setattr(uid_record, "subordinate", list)
    monkeypatch.setattr(uid_record, "_is_user", lambda _uid: False)


def _lock(workspace: Workspace, *names: str) -> LockFile:
    apps = tuple(deployed.app(name) for name in names)
    return LockFile(workspace.project, "net", "172.29.0.0/24", 1, apps)


def _entries(engine: Daemon) -> set[str]:
    label = "org.karstkit.uids"
    return {v["Labels"][label] for v in engine.volumes if label in v["Labels"]}


def test_every_service_and_the_gateway_get_a_block_and_keep_it(
    workspace: Workspace, engine_double: Daemon
) -> None:
    """The second deploy finds the record; a new service gets what is free."""
    first = users.claim(workspace, _lock(workspace, "a", "b"))
    assert set(first) == {"gateway", "a", "b"}
    assert len({each.base for each in first.values()}) == 3
    again = users.claim(workspace, _lock(workspace, "0", "a", "b"))
    assert {name: again[name] for name in first} == first
    assert again["0"] not in first.values()
    assert users_file.load_users(workspace.layout.users("demo")) == again
    assert len(engine_double.volumes) == 4


def test_projects_never_share_a_block(workspace: Workspace) -> None:
    """Other projects, other checkouts: what the engine records counts for all."""
    other = replace(workspace, project="other")
    mine = users.claim(workspace, _lock(workspace, "a"))
    theirs = users.claim(other, _lock(other, "a"))
    assert not {u.base for u in mine.values()} & {u.base for u in theirs.values()}


def test_two_first_deploys_at_once_do_not_take_the_same_block(
    workspace: Workspace, engine_double: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both looked before either entered: who comes second sees whose the entry is and goes on."""
    monkeypatch.setattr(uid_record, "labels_in_use", lambda _engine: [])
    other = replace(workspace, project="other")
    mine = users.claim(workspace, _lock(workspace, "a"))
    theirs = users.claim(other, _lock(other, "a"))
    assert not {u.base for u in mine.values()} & {u.base for u in theirs.values()}
    assert len(_entries(engine_double)) == 4


def test_a_pruned_record_is_made_again_from_the_containers(
    workspace: Workspace, engine_double: Daemon
) -> None:
    """`docker volume prune` takes empty volumes away; what runs still says whose uids it has."""
    before = users.claim(workspace, _lock(workspace, "a"))
    for name in ("gateway", "a"):
        label = {"org.karstkit.uids": f"{before[name].base} demo/{name}"}
        engine_double.add(FakeContainer(name, "demo", name, "app", more_labels=label))
    entries = _entries(engine_double)
    engine_double.volumes.clear()
    other = replace(workspace, project="other")
    taken = users.claim(other, _lock(other, "b"))
    assert users.claim(workspace, _lock(workspace, "a")) == before
    assert entries < _entries(engine_double)
    assert not {u.base for u in before.values()} & {u.base for u in taken.values()}


def test_a_plan_enters_nothing(workspace: Workspace, engine_double: Daemon, tmp_path: Path) -> None:
    """It shows the uids that a deploy would take."""
    path = tmp_path / "users.json"
    users.propose(workspace, _lock(workspace, "a"), path)
    assert engine_double.volumes == []
    assert users_file.load_users(path) == users.claim(workspace, _lock(workspace, "a"))


def test_services_that_left_give_their_uids_back(
    workspace: Workspace, engine_double: Daemon
) -> None:
    """One without data; whose files lie in a volume keeps them, also after a destroy."""
    found = users.claim(workspace, _lock(workspace, "a", "b", "c"))
    other = replace(workspace, project="demo-2")
    users.claim(other, _lock(other, "a"))
    data = {"org.karstkit.project": "demo", "org.karstkit.service": "b"}
    engine_double.volumes.append({"Name": "b-data", "Labels": data})
    users.release(workspace, _lock(workspace, "c"))
    left = {entry.partition(" ")[2] for entry in _entries(engine_double)}
    assert left == {"demo/gateway", "demo/b", "demo/c", "demo-2/gateway", "demo-2/a"}
    assert not workspace.layout.passwd("demo", "a").exists()
    users.release(workspace, None)
    left = {entry.partition(" ")[2] for entry in _entries(engine_double)}
    assert left == {"demo/b", "demo-2/gateway", "demo-2/a"}
    assert users.claim(workspace, _lock(workspace, "b"))["b"] == found["b"]


def test_users_of_this_machine_are_gone_round(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person's uid, from /etc/passwd or a directory service, takes its block out."""
    monkeypatch.setattr(uid_record, "_is_user", lambda uid: uid < 30_006)
    found = users.claim(workspace, _lock(workspace))
    assert found == {"gateway": Users(30_008)}


def test_when_nothing_is_left_it_is_said(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command that shows who has the uids is named."""
    monkeypatch.setattr(uid_record, "subordinate", lambda: [range(2**31)])
    with pytest.raises(ConfigError, match="no uids are left") as caught:
        users.claim(workspace, _lock(workspace, "a"))
    assert "docker volume ls" in (caught.value.next_step or "")


@pytest.mark.parametrize("text", [None, "{", '{"version": 2}', '{"version": 1}'])
def test_a_missing_or_foreign_hand_over_asks_for_a_lock(tmp_path: Path, text: str | None) -> None:
    """Whoever synthesizes without `iac` learns which command comes first."""
    path = tmp_path / "users.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match="no users") as caught:
        users_file.load_users(path)
    assert "iac lock" in (caught.value.next_step or "")
