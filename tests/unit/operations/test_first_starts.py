"""Which services wait for others, which stopped ones are tried again, and what is said of them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from iac_wrapper.model.app import ResolvedApp
from iac_wrapper.model.lock import LockFile
from iac_wrapper.model.options import Options
from iac_wrapper.model.report import ProjectReport
from iac_wrapper.operations import first_starts, releases
from iac_wrapper.operations.heal import heal
from iac_wrapper.operations.releases import Release, Releases, StoppedService
from iac_wrapper.operations.workspace import Workspace
from tests.support.deployed import app, deployed
from tests.support.docker_daemon import Daemon, FakeContainer

AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
FAILED = StoppedService(AT, "it ended with exit code 1", "ConnectionError: http://cache:80/")


def needing(name: str, *names: str) -> ResolvedApp:
    return replace(app(name), options=Options(needs=names))


WEB, LATE = needing("web", "db"), needing("late", "web")
DB, CACHE = app("db"), app("cache")


def asked(
    workspace: Workspace, lock: LockFile, named: Collection[str] = ()
) -> tuple[dict[str, set[str]], set[str]]:
    """The gates of a deploy of `lock`, and what stays stopped."""
    values: dict[str, dict[str, str]] = {a.name: {} for a in lock.apps}
    gates = first_starts.gates(workspace, lock, values, frozenset(named))
    quiet = releases.resting(workspace, lock, values, frozenset(named))
    return {name: set(waits) for name, waits in gates.items()}, set(quiet)


def stop(workspace: Workspace, *names: str, good: Releases | None = None) -> None:
    stopped = dict.fromkeys(names, FAILED)
    releases.save_releases(workspace, replace(good or Releases(), stopped=stopped))


def test_only_first_starts_wait(workspace: Workspace) -> None:
    """A service that is deployed does not, whatever becomes of what it needs."""
    lock = deployed(workspace.layout, DB, WEB)
    assert asked(workspace, lock) == ({}, set())
    changed = replace(lock, apps=(replace(DB, tree="x"), LATE, replace(WEB, tree="x")))
    assert asked(workspace, changed) == ({"late": {"web"}}, set())


def test_all_of_a_new_project_wait(workspace: Workspace) -> None:
    lock = LockFile("demo", "iacnet-demo", "172.20.0.0/16", 1, (DB, LATE, WEB))
    assert asked(workspace, lock)[0] == {"late": {"web"}, "web": {"db"}}


def test_a_stopped_service_is_tried_when_what_it_needs_changes(workspace: Workspace) -> None:
    """And so is what needs it in turn, after it."""
    lock = deployed(workspace.layout, CACHE, DB, LATE, WEB)
    stop(workspace, "web", "late")
    assert asked(workspace, lock) == ({}, {"web", "late"})

    mended = replace(lock, apps=(CACHE, replace(DB, tree="x"), LATE, WEB))

    gates = {"web": {"db", "cache"}, "late": {"web", "cache"}}
    assert asked(workspace, mended) == (gates, set())


def test_a_stopped_service_is_tried_when_what_its_failure_names_changes(
    workspace: Workspace,
) -> None:
    """Nobody declared that it calls it; the reason of the failure says so."""
    lock = deployed(workspace.layout, CACHE, DB, app("api"))
    stop(workspace, "api")
    other = replace(lock, apps=(app("api"), CACHE, replace(DB, tree="x")))
    assert asked(workspace, other) == ({}, {"api"})
    mended = replace(lock, apps=(app("api"), replace(CACHE, tree="x"), DB))
    assert asked(workspace, mended) == ({"api": {"cache"}}, set())


def test_a_stopped_service_that_changes_waits_for_its_needs_alone(workspace: Workspace) -> None:
    """Its new version may not call any more what the old one failed for."""
    lock = deployed(workspace.layout, CACHE, DB, WEB)
    stop(workspace, "web")
    changed = replace(lock, apps=(CACHE, DB, replace(WEB, tree="x")))
    assert asked(workspace, changed) == ({"web": {"db"}}, set())
    assert asked(workspace, lock, named=["web"]) == ({"web": {"db"}}, set())


@pytest.mark.parametrize(("minutes", "again"), [(-1, False), (1, True)])
def test_a_need_that_was_proven_since_counts(
    workspace: Workspace, minutes: int, again: bool
) -> None:
    """A deploy of the needed service alone may have mended it."""
    lock = deployed(workspace.layout, DB, WEB)
    proven = Release(DB, AT + timedelta(minutes=minutes))
    stop(workspace, "web", good=Releases(good={"db": [proven]}))
    assert asked(workspace, lock)[1] == (set() if again else {"web"})


def test_what_waits_is_not_started_by_heal(workspace: Workspace, engine_double: Daemon) -> None:
    """It stays noted as stopped until its turn comes."""
    lock = deployed(workspace.layout, DB, WEB)
    engine_double.add(FakeContainer("e", "demo", "web", "envoy", state="exited"))
    stop(workspace, "web")
    values: dict[str, dict[str, str]] = {"db": {}, "web": {}}
    named = frozenset({"web"})
    assert releases.wake(workspace, lock, values, named, {"web": frozenset({"db"})}) == {"web"}
    assert heal(workspace) == []
    assert releases.load_releases(workspace).stopped == {"web": FAILED}


def test_health_tells_what_the_last_deploy_did_not_start(workspace: Workspace) -> None:
    """Until it is there: nothing else in the record of what is applied would show it."""
    lock = deployed(workspace.layout, DB)
    report = ProjectReport("demo", ())
    row = first_starts.held(workspace, replace(lock, apps=(DB, LATE)), "late", ["web"], report)
    missing = first_starts.unstarted(lock, report.with_rows([row]))
    releases.save_releases(workspace, Releases(unstarted=missing))
    (told,) = first_starts.with_unstarted(workspace, lock, report).failed
    assert (told.app, told.good) == (LATE, False)
    assert told.health.message == "the last deploy did not start it: waits for web"
    there = replace(lock, apps=(DB, LATE))
    assert first_starts.with_unstarted(workspace, there, report) == report


def test_the_row_of_what_was_not_started_says_what_is_missing(workspace: Workspace) -> None:
    """Also where that was not started either."""
    lock = LockFile("demo", "iacnet-demo", "172.20.0.0/16", 1, (DB, LATE, WEB))
    nothing = ProjectReport("demo", ())
    row = first_starts.held(workspace, lock, "late", ["web"], nothing)
    assert not row.good
    assert (row.health.message, row.health.cause) == ("waits for web", "waiting")
    assert row.diagnosis
    assert row.diagnosis.render("late").splitlines() == [
        "late: it was not started: it waits for web",
        "  evidence: web was not started either",
        "  next: fix web, then iac deploy --file repos.yaml --project demo",
        "  app container: was not started",
    ]
    beside = nothing.with_rows([row])
    assert [r.app.name for r in beside.services] == ["late"]
    assert beside.failed == (row,)
    again = first_starts.held(workspace, lock, "web", ["late"], beside)
    assert again.diagnosis
    assert (
        again.diagnosis.finding.evidence == "late is not good: it was not started: it waits for web"
    )
    assert first_starts.unmet("late", {"late": {"web", "db"}}, beside) == ["db", "web"]
