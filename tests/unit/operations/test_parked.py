"""Services that a person stopped: what is told of them, from a real lock and a real ledger."""

from __future__ import annotations

import getpass
import os
from dataclasses import replace

import pytest

from iac_wrapper.errors import ConfigError
from iac_wrapper.files import host, users_file
from iac_wrapper.model.certificate import CONTROL_PLANE
from iac_wrapper.model.event import Event
from iac_wrapper.model.options import Options
from iac_wrapper.model.users import Users
from iac_wrapper.operations import (
    ca_rotation,
    certs,
    history,
    images,
    inventory,
    leaves,
    parked,
    prune,
    recording,
    stop,
)
from iac_wrapper.operations.intent import from_slugs
from iac_wrapper.operations.leaving import UnknownServiceError
from iac_wrapper.operations.logs import logs
from iac_wrapper.operations.start import restart, start
from iac_wrapper.operations.workspace import Workspace
from tests.support.deployed import app, deployed
from tests.support.docker_daemon import Daemon


@pytest.fixture(autouse=True)
def machine(workspace: Workspace, engine_double: Daemon) -> None:
    """A machine that was set up."""
    del engine_double
    record = host.Host("d", "t", "n", "embedded", "iac/envoy:x", {})
    host.save_host(record, workspace.settings.machine_home)


def _stopped(workspace: Workspace) -> None:
    """As `iac stop db` leaves it."""
    web = replace(app("web"), options=Options(needs=("db",)))
    api = replace(app("api"), options=Options(allow={"db": ()}))
    with recording.release(workspace, parked.KIND) as release:
        release.of = {"named": ["db"]}
        release.start()
        deployed(workspace.layout, api, app("db"), web, stopped=["db"])


def test_by_whom_when_and_who_misses_it(workspace: Workspace, events: list[Event]) -> None:
    """The ledger knows; without it the lock still says that it is stopped."""
    _stopped(workspace)
    (found,) = parked.parked_services(workspace)
    at = history.show(workspace, 1).entry.at
    who = f"(iac stop by {getpass.getuser()}, {at:%Y-%m-%d %H:%M} UTC)"
    misses = "needed by web; in `allow:` of api"
    assert found.text == f"db: stopped {who}; {misses}; next: iac start db --project demo"
    assert found.to_dict()["at"] == at.isoformat()
    lock = workspace.deployed_lock()
    parked.say(workspace, lock)
    assert [event.message for event in events] == [found.text]
    recording.ledger_of(workspace).path.write_text("no line\n")
    (unknown,) = parked.parked_services(workspace)
    assert unknown.text.startswith("db: stopped (iac stop); needed by web")


def test_its_name_is_known_where_it_has_no_container(workspace: Workspace) -> None:
    """What needs one says what starts it; what it owns is still the project's."""
    _stopped(workspace)
    for refused in (
        lambda: logs(workspace, ["db"], roles=("app",), tail=1),
        lambda: restart(workspace, ["web", "db"]),
        lambda: certs.rotate(workspace, ["db"]),
    ):
        with pytest.raises(ConfigError, match="service db is stopped") as caught:
            refused()
        assert caught.value.next_step == "iac start db --project demo"
    assert inventory.services(workspace) == ("api", "db", "web")
    assert "iac/demo-db:0123456789ab" in images.of_lock(workspace.applied_lock())
    slugs = from_slugs(workspace, ["gh:owner/new"], cwd=workspace.layout.root)
    assert prune.removals(workspace, slugs) == ()


def test_an_unknown_name_is_refused_before_anything_moves(
    workspace: Workspace, events: list[Event]
) -> None:
    """It names those that there are, stopped ones as well; what is stopped is not stopped again."""
    _stopped(workspace)
    for operation in (stop.stop, start, restart):
        with pytest.raises(UnknownServiceError, match="no service bd is deployed") as caught:
            operation(workspace, ["web", "bd"])
        assert caught.value.found == "the services api, db, web"
    assert stop.stop(workspace, ["db"]) == stop.StopResult(())
    assert [event.message for event in events] == ["db is stopped already"]
    assert len(history.history(workspace).entries) == 1


def test_the_ledger_tells_a_stop_from_a_removal(workspace: Workspace) -> None:
    """`iac diff` says stopped and started, and what changed meanwhile."""
    for number, (commit, stopped) in enumerate([("a", ()), ("a", ["db"]), ("c", ())], 1):
        with recording.release(workspace, "deploy") as release:
            release.start()
            db = replace(app("db"), commit=commit * 40)
            deployed(workspace.layout, app("web"), db, stopped=stopped)
        assert release.number == number
    (went,) = history.difference(workspace, 1, 2).services
    (came,) = history.difference(workspace, 2, 3).services
    assert (went.name, went.kind, dict(went.changes)) == ("db", "stopped", {})
    assert (came.kind, list(came.changes)) == ("started", ["commit"])
    shown = history.show(workspace, 2).to_dict()
    assert (list(shown["services"]), shown["stopped"]) == (["db", "web"], ["db"])


def test_where_all_is_stopped_the_own_certificate_follows(workspace: Workspace) -> None:
    """Of a change of authority, and of a renewal: `iac` calls with it, and nothing else is left."""
    lock = deployed(workspace.layout, app("db"), stopped=["db"])
    users_file.save_users({"gateway": Users(30000)}, workspace.layout.users("demo"))
    owner = {CONTROL_PLANE: os.geteuid()}
    assert [step.done for step in ca_rotation.rotate_ca(workspace)] == [True, True, True]
    assert leaves.faults(workspace, lock, owner) == {CONTROL_PLANE: None}
    (workspace.layout.certificates("demo") / CONTROL_PLANE / "tls.crt").resolve().write_text("")
    assert [each.name for each in certs.renew(workspace)] == [CONTROL_PLANE]
    assert leaves.faults(workspace, lock, owner) == {CONTROL_PLANE: None}
