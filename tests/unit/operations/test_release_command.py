"""When a release command is due, and what must be there before."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from iac_wrapper.model.app import ResolvedApp
from iac_wrapper.model.lock import LockFile
from iac_wrapper.model.options import Options
from iac_wrapper.operations import first_starts, release_command, releases
from iac_wrapper.operations.releases import Releases
from iac_wrapper.operations.workspace import Workspace
from tests.support.deployed import app, deployed

NOTHING: dict[str, str] = {}


def _released(name: str = "web") -> ResolvedApp:
    return replace(app(name), options=Options(release="python migrate.py"))


def _lock(*apps: ResolvedApp) -> LockFile:
    return LockFile("demo", "iacnet-demo", "172.20.0.0/16", 1, apps)


def test_it_is_due_until_it_succeeded_for_this_very_version() -> None:
    """Not for a service without one."""
    lock = _lock(app("cache"), _released())
    values = {"cache": NOTHING, "web": NOTHING}
    assert release_command.due(lock, values, Releases()) == [lock.apps[1]]
    done = Releases(released={"web": release_command.fingerprint(lock.apps[1], NOTHING)})
    assert release_command.due(lock, values, done) == []
    assert release_command.due(lock, values, Releases(), but={"web"}) == []


@pytest.mark.parametrize(
    "change",
    [
        {"image": "iac/demo-web:ffffffffffff"},
        {"env": {"LEVEL": "debug"}},
        {"options": Options(release="python other.py")},
    ],
)
def test_another_version_makes_it_due(change: dict[str, Any]) -> None:
    """Another image, environment or command; a secret value as well; a limit does not."""
    before = _released()
    known = Releases(released={"web": release_command.fingerprint(before, NOTHING)})
    assert release_command.due(_lock(replace(before, **change)), {"web": NOTHING}, known)
    assert release_command.due(_lock(before), {"web": {"KEY": "other"}}, known)
    limited = replace(before, options=replace(before.options, memory_mb=64))
    assert not release_command.due(_lock(limited), {"web": NOTHING}, known)


def test_the_record_keeps_what_succeeded(workspace: Workspace) -> None:
    """Until the service is no more."""
    releases.save_releases(workspace, Releases(released={"web": "abc", "old": "def"}))
    assert releases.load_releases(workspace).released == {"web": "abc", "old": "def"}
    assert releases.load_releases(workspace).only(["web"]).released == {"web": "abc"}


def _gates(workspace: Workspace, lock: LockFile) -> dict[str, set[str]]:
    values = {one.name: NOTHING for one in lock.apps}
    gates = first_starts.gates(workspace, lock, values, frozenset())
    return {name: set(needed) for name, needed in gates.items()}


def test_at_first_it_waits_for_the_network_and_for_what_is_needed(workspace: Workspace) -> None:
    """The other processes of the entry come after it; where none has a command nobody waits."""
    worker = replace(app("web-worker"), process_of="web")
    assert _gates(workspace, _lock(app("cache"), _released(), worker)) == {
        "web": set(),
        "web-worker": {"web"},
    }
    needing = replace(_released(), options=replace(_released().options, needs=("cache",)))
    assert _gates(workspace, _lock(app("cache"), needing)) == {"web": {"cache"}}
    assert _gates(workspace, _lock(app("cache"))) == {}


def test_later_it_waits_for_what_is_new(workspace: Workspace) -> None:
    """What is deployed stays as it is meanwhile; a network that changes does so before."""
    old = deployed(workspace.layout, replace(app("web"), image="iac/demo-web:old"))
    needing = replace(_released(), options=replace(_released().options, needs=("cache",)))
    assert _gates(workspace, replace(old, apps=(app("cache"), needing))) == {"web": {"cache"}}
    assert _gates(workspace, replace(old, apps=(app("cache"), _released()))) == {}
    moved = replace(old, apps=(_released(),), subnet="172.21.0.0/16")
    assert _gates(workspace, moved) == {"web": set()}
