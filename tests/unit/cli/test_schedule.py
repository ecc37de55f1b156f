"""`iac schedule` as people and timers use it; no engine is asked."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from iac_wrapper import cli
from iac_wrapper.files.layout import Layout
from iac_wrapper.model.options import Options
from iac_wrapper.model.schedule import Past
from iac_wrapper.model.schedule import Result as Ended
from iac_wrapper.operations import schedules
from iac_wrapper.operations.workspace import Workspace
from iac_wrapper.settings import Settings
from tests.support.deployed import app, deployed

DUE = datetime(2026, 11, 27, 3, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A project whose nightly command failed in its last run, long ago."""
    (tmp_path / "cdktf.json").write_text("{}")
    (tmp_path / "main.py").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IAC_PROJECT", "demo")
    layout = Layout(tmp_path)
    options = Options(schedule={"backup": "0 3 30 * * python backup.py"})
    deployed(layout, replace(app("web"), options=options))
    workspace = Workspace(layout, Settings(), "demo", lambda _: None)
    ended = Ended(DUE, DUE, "web.0a0a0a", DUE + timedelta(seconds=4), 1)
    with schedules.changing(workspace) as pasts:
        pasts["web.backup"] = Past("0 3 30 * *", datetime.now(UTC), ended)
    return workspace


def _iac(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, ["schedule", *arguments])


def test_the_list_says_when_and_how(folder: Workspace) -> None:
    """And what went wrong, below."""
    head, row, warning = _iac("--wide").stdout.splitlines()
    upcoming = schedules.states(folder)[0].next_time
    assert head.split() == ["SERVICE", "NAME", "WHEN", "(UTC)", "NEXT", "LAST"]
    assert row.split()[:7] == ["web", "backup", "0", "3", "30", "*", "*"]
    assert f"{upcoming:%Y-%m-%d %H:%M}" in row
    assert "2026-11-27 03:00 exit code 1 after 4.0 s (web.0a0a0a)" in row
    assert warning == (
        "scheduled web.backup failed, due 2026-11-27 03:00 UTC: exit code 1 after 4.0 s;"
        " iac logs web.0a0a0a"
    )


def test_programs_get_the_same(folder: Workspace) -> None:
    (found,) = json.loads(_iac("--json").stdout)["schedule"]
    assert (found["service"], found["name"], found["command"]) == (
        *("web", "backup", "python backup.py"),
    )
    last = found["last"]
    assert (last["exit_code"], last["seconds"], last["good"]) == (1, 4.0, False)
    assert (found["running"], found["missed"], found["overdue"]) == (False, None, None)


def test_nothing_is_due(folder: Workspace) -> None:
    """In one project, and in all of the folder."""
    assert _iac("run-due").stdout == "Nothing is due.\n"
    done = _iac("run-due", "--all", "--json")
    assert (done.exit_code, json.loads(done.stdout)) == (0, {"runs": []})


def test_where_nothing_is_scheduled_that_is_said(folder: Workspace) -> None:
    deployed(folder.layout, app("web"))
    assert _iac().stdout == "Nothing is scheduled: `schedule:` in a repos file does that.\n"


def test_what_is_stopped_does_not_run_and_is_named(folder: Workspace) -> None:
    """Only if it has a schedule; that there is none would be wrong."""
    (web,) = folder.deployed_lock().apps
    deployed(folder.layout, web, app("db"), stopped=["web", "db"])
    assert _iac().stdout == "web: stopped (iac stop); next: iac start web --project demo\n"
    found = json.loads(_iac("--json").stdout)
    assert (found["schedule"], [each["name"] for each in found["stopped"]]) == ([], ["web"])
