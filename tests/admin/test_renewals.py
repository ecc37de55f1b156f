"""Certificates are renewed while the admin API is served."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path

import pytest

from admin import renewals
from admin.renewals import LeafRenewals, Renewals
from iac_wrapper.adapters import workspace_lock
from iac_wrapper.files import users_file
from iac_wrapper.files.layout import Layout
from iac_wrapper.identity import public_certificates as store
from iac_wrapper.identity.certificates import inspect_leaf
from iac_wrapper.model.public_host import PublicHost
from iac_wrapper.model.users import Users
from iac_wrapper.operations import public_hosts
from iac_wrapper.operations.workspace import Workspace
from iac_wrapper.settings import Settings
from tests.support.certificate_lab import Issuer, write
from tests.support.deployed import app, deployed

HOST = "app.example.com"


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """Two projects with a host that is served from files; those of the first are not there."""
    layout = Layout(tmp_path)
    pair = Issuer("Test CA").pair(HOST)
    files = write(tmp_path / "own", pair.chain, pair.key)
    missing = write(tmp_path / "gone", pair.chain, pair.key)
    missing.key.unlink()
    for name in ("a", "b"):
        layout.state(name).parent.mkdir(parents=True)
        layout.state(name).write_text("{}")

    def hosts(workspace: Workspace) -> tuple[PublicHost, ...]:
        return (PublicHost(HOST, missing if workspace.project == "a" else files),)

    monkeypatch.setattr(public_hosts, "hosts", hosts)
    return layout


def _wait(layout: Layout, project: str) -> None:
    for _ in range(500):
        if store.current(layout, project, HOST):
            return
        time.sleep(0.01)
    raise TimeoutError(project)


def test_each_project_at_once_and_one_s_failure_is_only_its_own(
    layout: Layout, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "iac.admin"):
        running = Renewals(layout, Settings())
        running.start()
        _wait(layout, "b")
        running.stop()
    (said,) = (record.getMessage() for record in caplog.records)
    assert said.startswith("project a: certificate of app.example.com: ")
    assert "No such file" in said


def test_a_busy_project_is_looked_at_again_soon(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not half a day later: its certificate may be about to end."""
    monkeypatch.setattr(renewals, "_SOON", 0.05)
    running = Renewals(layout, Settings())
    with workspace_lock.hold(layout.project("b"), "iac deploy"):
        running.start()
        time.sleep(0.1)
        assert store.current(layout, "b", HOST) is None
    _wait(layout, "b")
    running.stop()


def test_leaves_are_renewed_in_time_and_a_failure_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A life of ten seconds is looked at each second, also while a deploy holds the project."""
    layout = Layout(tmp_path)
    deployed(layout, app("web"), project="a")
    deployed(layout, app("web"), project="b")
    users = {"web": Users(os.geteuid() - 1)}
    users_file.save_users(users, layout.users("a"))  # b has none: it was never deployed here
    before = inspect_leaf(layout.certificates("a") / "control-plane").serial
    lookers = LeafRenewals(layout, Settings(IAC_LEAF_LIFETIME="10s"))
    with (
        workspace_lock.hold(layout.project("a"), "iac deploy"),
        caplog.at_level(logging.INFO, "iac.admin"),
    ):
        lookers.start()
        for _ in range(400):
            if inspect_leaf(layout.certificates("a") / "control-plane").serial != before:
                break
            time.sleep(0.01)
        time.sleep(1.5)
        lookers.stop()
    leaf = inspect_leaf(layout.certificates("a") / "control-plane")
    assert (leaf.not_after - leaf.issued_at).total_seconds() <= 11
    said = [record.getMessage() for record in caplog.records]
    assert [text for text in said if "project b" in text] == [
        text for text in said if "no users on this machine" in text
    ]
    assert len([text for text in said if "no users on this machine" in text]) == 1
