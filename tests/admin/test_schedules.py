"""Scheduled commands are run while the admin API is served."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from admin.schedules import Schedules
from iac_wrapper.adapters import workspace_lock
from iac_wrapper.files.layout import Layout
from iac_wrapper.model.options import Options
from iac_wrapper.model.schedule import Past
from iac_wrapper.operations import schedules
from iac_wrapper.operations.workspace import Workspace
from iac_wrapper.settings import Settings
from tests.support.deployed import app, deployed


@pytest.fixture
def project(tmp_path: Path) -> Workspace:
    """A service with an entry that is due, and a project beside it whose state is broken."""
    layout = Layout(tmp_path)
    options = Options(schedule={"ping": "* * * * * true"})
    deployed(layout, replace(app("web"), options=options))
    layout.state("broken").parent.mkdir()
    layout.state("broken").write_text("{")
    workspace = Workspace(layout, Settings(), "demo", lambda _: None)
    with schedules.changing(workspace) as pasts:
        pasts["web.ping"] = Past("* * * * *", datetime.now(UTC) - timedelta(minutes=5))
    return workspace


def _last(project: Workspace) -> str | None:
    """What is on record of how it ended."""
    last = schedules.load(project)["web.ping"].last
    return last.error if last else None


def test_what_is_due_is_run_by_a_process_of_its_own(project: Workspace) -> None:
    """Which says that it could not, as no container is recorded here; another project's state that
    cannot be read is only that project's."""
    running = Schedules(project.layout, Settings())
    running.start()
    deadline = time.monotonic() + 30
    while not _last(project) and time.monotonic() < deadline:
        time.sleep(0.05)
    running.stop()
    assert _last(project)


def test_it_waits_while_somebody_holds_the_project(
    project: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []
    monkeypatch.setattr("admin.schedules.schedule_watch.start", started.append)
    running = Schedules(project.layout, Settings())
    with workspace_lock.hold(project.directory, "iac deploy"):
        running._look("demo")
    assert started == []
    running._look("demo")
    assert len(started) == 1
