"""Who runs a scheduled command, when, and what is known of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import wait
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from iac_wrapper.adapters import workspace_lock
from iac_wrapper.errors import CommandError
from iac_wrapper.files import file_lock
from iac_wrapper.model.event import Event
from iac_wrapper.model.lock import LockFile
from iac_wrapper.model.one_off import Record
from iac_wrapper.model.options import Options
from iac_wrapper.model.schedule import Entry, Past
from iac_wrapper.operations import one_offs, releases, run, run_schedule, schedules
from iac_wrapper.operations.releases import Releases
from iac_wrapper.operations.run import Captured
from iac_wrapper.operations.workspace import Workspace
from tests.support.deployed import app, deployed
from tests.support.docker_daemon import Daemon

EACH_MINUTE = Entry("web", "ping", "* * * * * echo $TOKEN")
NIGHTLY = Entry("web", "backup", "0 3 * * * python backup.py")


@pytest.fixture
def said(workspace: Workspace) -> list[str]:
    return []


@pytest.fixture
def project(workspace: Workspace, engine_double: Daemon, said: list[str]) -> Workspace:
    """A deployed service with two entries, and what is said of them."""
    lines = {entry.name: entry.line for entry in (EACH_MINUTE, NIGHTLY)}
    deployed(workspace.layout, replace(app("web"), options=Options(schedule=lines)))

    def emit(event: Event) -> None:
        said.append(event.message)

    return replace(workspace, emit=emit)


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """A command that ends with 0 in place of containers: what was run, one by one."""
    ran: list[dict[str, Any]] = []

    def capture(
        workspace: Workspace, recipe: object, command: tuple[str, ...], purpose: str, **more: Any
    ) -> Captured:
        now = datetime.now(UTC)
        record = Record(f"web.{len(ran):06x}", "web", command, "schedule", now)
        more["begun"](record)
        ran.append({"command": command[-1], "purpose": purpose, "limit": more["limit"]})
        return Captured(replace(record, ended=now + timedelta(seconds=2), exit_code=0), False)

    monkeypatch.setattr(run, "capture", capture)
    monkeypatch.setattr(one_offs, "recorded", lambda *_: object())
    return ran


def _settled(project: Workspace, before: timedelta, entry: Entry = EACH_MINUTE) -> None:
    """As if the last look had been so long ago; the next minute does not begin at once."""
    rest = 60 - time.time() % 60
    if rest < 3:
        time.sleep(rest)
    with schedules.changing(project) as pasts:
        pasts[entry.key] = Past(entry.when, datetime.now(UTC) - before)


def _of(project: Workspace, entry: Entry = EACH_MINUTE) -> schedules.State:
    return next(state for state in schedules.states(project) if state.entry == entry)


def test_what_is_due_runs_once(project: Workspace, ends: list[dict[str, Any]]) -> None:
    """And the record says how it was."""
    _settled(project, timedelta(minutes=1))
    (done,) = [r for r in run_schedule.run_due([project]) if r.entry == EACH_MINUTE]
    assert {"command": "exec 2>&1; echo $TOKEN", "purpose": "schedule", "limit": 3600} in ends
    assert run_schedule.to_look_at(project, done.result.due) == []
    state = _of(project)
    assert state.past.last == done.result
    assert (done.result.run, done.result.exit_code, done.result.good) == ("web.000000", 0, True)
    assert (state.warnings, state.running) == ((), False)


def test_who_holds_the_entry_runs_it(project: Workspace, ends: list[dict[str, Any]]) -> None:
    """Another that looks meanwhile leaves it; its time stays due."""
    _settled(project, timedelta(minutes=1))
    lock = schedules.take(project, EACH_MINUTE)
    assert lock is not None
    assert not [r for r in run_schedule.run_due([project]) if r.entry == EACH_MINUTE]
    file_lock.release(lock)
    assert [r for r in run_schedule.run_due([project]) if r.entry == EACH_MINUTE]


def test_it_waits_for_a_deploy_and_says_so(
    project: Workspace, ends: list[dict[str, Any]], said: list[str]
) -> None:
    """And does not turn that away; the next look runs it."""
    _settled(project, timedelta(minutes=5))
    with workspace_lock.hold(project.directory, "iac deploy"):
        assert run_schedule.run_due([project]) == []
        assert _of(project).warnings[0].startswith("scheduled web.ping is due since ")
        assert "it waits for `iac deploy`" in _of(project).warnings[0]
    assert "web.ping of demo waits for `iac deploy`" in said[0]
    assert run_schedule.run_due([project])


def test_a_note_of_a_killed_deploy_stops_nothing(project: Workspace) -> None:
    """The number in it may be that of another process by now: here it is our own."""
    lock = workspace_lock.acquire(project.directory, "iac deploy")
    text = (project.directory / workspace_lock.LOCK_NAME).read_text()
    lock.release()
    (project.directory / workspace_lock.LOCK_NAME).write_text(text)
    assert workspace_lock.holder(project.directory)
    assert workspace_lock.held_by(project.directory) is None


def test_a_time_that_nobody_ran_is_missed_and_said(
    project: Workspace, ends: list[dict[str, Any]], said: list[str]
) -> None:
    """Overdue until somebody looks, missed from then on, until the next one is run."""
    _settled(project, timedelta(days=2), NIGHTLY)
    now = datetime.now(UTC)
    late = now - schedule_time(now)
    before = _of(project, NIGHTLY)
    run_schedule.run_due([project])
    after = _of(project, NIGHTLY)
    assert "web.backup is due since" in before.warnings[0]
    assert "start `iac admin serve`" in before.warnings[0]
    assert after.past.missed is not None
    assert (after.past.last is None) == (late > timedelta(hours=1))
    assert after.warnings[0].startswith("scheduled web.backup was not run at ")
    assert "03:00 UTC" in after.warnings[0]


def schedule_time(now: datetime) -> datetime:
    """The last three o'clock."""
    return NIGHTLY.last_time(now, now - timedelta(days=2)) or now


@pytest.mark.parametrize("change", ["exit", "limit", "engine", "bug"])
def test_what_fails_is_said(
    project: Workspace, ends: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """Whatever it was; the lock is free again."""
    capture: Callable[..., Captured] = run.capture

    def failing(*given: Any, **more: Any) -> Captured:
        done = capture(*given, **more)
        if change == "engine":
            raise CommandError("the engine refused")
        if change == "bug":
            raise KeyError("oops")
        code = 1 if change == "exit" else 143
        return replace(done, record=replace(done.record, exit_code=code), timed_out=code == 143)

    monkeypatch.setattr(run, "capture", failing)
    _settled(project, timedelta(minutes=1))
    if change == "bug":
        with pytest.raises(KeyError):
            run_schedule.run_due([project])
    else:
        run_schedule.run_due([project])
    words = {
        "exit": "exit code 1 after 2.0 s",
        "limit": "took longer than 3600 s (IAC_SCHEDULE_TIMEOUT)",
        "engine": "the engine refused",
        "bug": "KeyError: 'oops'",
    }
    (warning,) = _of(project).warnings
    assert warning.startswith("scheduled web.ping failed, due ")
    assert f": {words[change]}; iac logs web.000000" in warning
    assert not _of(project).running


def test_a_run_whose_process_was_killed_is_said(project: Workspace) -> None:
    """The kernel freed its lock."""
    _settled(project, timedelta(minutes=1))
    (taken,) = run_schedule._take_due(project, datetime.now(UTC))
    assert _of(project).running
    file_lock.release(taken.lock)
    assert "nobody saw it end" in _of(project).warnings[0]


def test_what_runs_ends_with_ctrl_c(
    project: Workspace, ends: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In order: the record says how."""
    stopped, capture = threading.Event(), run.capture

    def until_stopped(*given: Any, **more: Any) -> Captured:
        done = capture(*given, **more)
        assert stopped.wait(10)
        return replace(done, record=replace(done.record, exit_code=143))

    def interrupted(*_: Any, **more: Any) -> None:
        monkeypatch.setattr(run_schedule, "wait", wait)
        raise KeyboardInterrupt

    monkeypatch.setattr(one_offs, "stop", lambda *_: stopped.set())
    monkeypatch.setattr(run, "capture", until_stopped)
    monkeypatch.setattr(run_schedule, "wait", interrupted)
    _settled(project, timedelta(minutes=1))
    with pytest.raises(KeyboardInterrupt):
        run_schedule.run_due([project])
    last = _of(project).past.last
    assert last is not None
    assert last.exit_code == 143


def test_a_deploy_notes_what_is_new_and_forgets_what_is_gone(project: Workspace) -> None:
    """From then on it is known; another line begins anew."""
    _settled(project, timedelta(days=1))
    other = Entry("web", "ping", "*/5 * * * * true")
    new = replace(app("web"), options=Options(schedule={"ping": other.line}))
    lock = LockFile("demo", "iacnet-demo", "172.20.0.0/16", 1, (new,))
    releases.finish(project, lock, Releases())
    pasts = schedules.load(project)
    assert pasts.keys() == {"web.ping"}
    assert pasts["web.ping"].when == "*/5 * * * *"
    assert datetime.now(UTC) - pasts["web.ping"].settled < timedelta(minutes=1)
    releases.finish(project, replace(lock, apps=(app("web"),)), Releases())
    assert schedules.load(project) == {}


def test_nothing_is_written_without_a_schedule(workspace: Workspace, engine_double: Daemon) -> None:
    """A project that has none stays as it was; nor where the project is gone."""
    lock = deployed(workspace.layout, app("web"))
    releases.finish(workspace, lock, Releases())
    assert schedules.states(workspace) == []
    assert run_schedule.run_due([workspace]) == []
    assert not workspace.layout.schedule_locks("demo").exists()
    gone = replace(workspace, project="gone")
    assert schedules.take(gone, EACH_MINUTE) is None
    assert not gone.directory.exists()
