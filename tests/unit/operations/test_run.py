"""What is left of one-offs, and what of their logs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from iac_wrapper.errors import ConfigError
from iac_wrapper.model.one_off import Purpose, Record
from iac_wrapper.operations import heal, run, run_folder
from iac_wrapper.operations.logs import logs
from iac_wrapper.operations.workspace import Workspace
from tests.support.docker_daemon import Daemon, FakeContainer


def _pair(daemon: Daemon, identifier: str, *, state: str = "running") -> None:
    for role in ("run-envoy", "run-app"):
        name = f"demo-{identifier}-{role}"
        log = [(1, b"said\n")]
        daemon.add(FakeContainer(name, "demo", "web", role, state, name=name, log=log))


def _begun(workspace: Workspace, daemon: Daemon, purpose: Purpose, state: str) -> Record:
    """A one-off whose process has just been killed."""
    record, lock = run_folder.begin(workspace, "web", ["true"], purpose)
    run_folder.let_go(lock)
    _pair(daemon, record.id, state=state)
    return record


def test_what_nobody_waits_for_is_removed(workspace: Workspace, engine_double: Daemon) -> None:
    """The lock of its process is free, or there is no folder at all."""
    _begun(workspace, engine_double, "run", "running")
    _pair(engine_double, "web.0a0a0a", state="exited")
    run.tidy(workspace)
    assert engine_double.containers == {}
    assert run_folder.records(workspace) == []


def test_what_somebody_waits_for_stays(workspace: Workspace, engine_double: Daemon) -> None:
    """Whatever its state: it is for that process to remove it."""
    record, lock = run_folder.begin(workspace, "web", ["true"], "release")
    _pair(engine_double, record.id, state="exited")
    run.tidy(workspace)
    assert len(engine_double.containers) == 2
    run_folder.let_go(lock)


def test_a_detached_command_outlives_its_watcher(
    workspace: Workspace, engine_double: Daemon
) -> None:
    """It runs to its end, and its log is kept by whoever looks then."""
    running = _begun(workspace, engine_double, "detached", "running")
    ended = _begun(workspace, engine_double, "detached", "exited")
    for container in engine_double.containers.values():
        container.exit_code = 4
    run.tidy(workspace)
    left = {name.removeprefix("demo-").partition("-run")[0] for name in engine_double.containers}
    assert left == {running.id}
    found = run_folder.folder(workspace, ended.id).load()
    assert found is not None
    assert (found.exit_code, found.ended is not None) == (4, True)
    title, said = [record.line for record in logs(workspace, [ended.id], roles=("app",), tail=9)]
    assert title.startswith("--- true: exit code 4 at ")
    assert said == "said"


def test_healing_leaves_one_offs_alone(workspace: Workspace, engine_double: Daemon) -> None:
    """One that has ended is not started again."""
    _pair(engine_double, "web.0a0a0a", state="exited")
    assert not heal.needs_healing(workspace, workspace.engine.containers("demo"))
    assert heal.heal(workspace) == []


def test_old_logs_go(workspace: Workspace) -> None:
    """The newest of each service stay, and what has not ended."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for number in range(run_folder.KEPT + 5):
        record, lock = run_folder.begin(workspace, "web", ["true"], "run")
        run_folder.let_go(lock)
        at = start + timedelta(hours=number)
        ended = replace(record, started=at, ended=None if number == 0 else at)
        run_folder.folder(workspace, record.id).save(ended)
    run_folder.prune(workspace, record)
    left = run_folder.records(workspace)
    assert len(left) == run_folder.KEPT + 1
    assert left[0].ended is None
    assert left[1].started == start + timedelta(hours=5)


def test_what_runs_each_minute_pushes_out_no_other_log(workspace: Workspace) -> None:
    """Neither that of another line nor a person's."""
    lines = [("web", "run")] + [("nightly", "schedule")] + [("ping", "schedule")] * 25
    for line, purpose in lines:
        record, lock = run_folder.begin(workspace, "web", [line], cast(Purpose, purpose))
        run_folder.let_go(lock)
        run_folder.folder(workspace, record.id).save(replace(record, ended=record.started))
    run_folder.prune(workspace, record)
    left = [record.command[0] for record in run_folder.records(workspace)]
    assert left == ["web", "nightly", *["ping"] * run_folder.KEPT]


def test_an_unknown_id_is_refused_with_those_there_are(workspace: Workspace) -> None:
    """At the call, not at the first line."""
    record, lock = run_folder.begin(workspace, "web", ["true"], "run")
    run_folder.let_go(lock)
    with pytest.raises(ConfigError) as caught:
        logs(workspace, ["web.ffffff"], roles=("app",), tail=1)
    assert caught.value.expected == record.id
