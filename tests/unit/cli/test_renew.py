"""`iac renew` as people and timers use it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from iac_wrapper import cli
from iac_wrapper.adapters import workspace_lock
from iac_wrapper.errors import BusyError
from iac_wrapper.files.layout import Layout
from iac_wrapper.model.public_host import PublicHost
from iac_wrapper.operations import public_hosts
from iac_wrapper.operations.workspace import Workspace
from tests.support.certificate_lab import Issuer, write

HOST = "app.example.com"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder with an ingress: every project has the host, from one pair of files."""
    (tmp_path / "cdktf.json").write_text("{}")
    (tmp_path / "main.py").write_text("")
    monkeypatch.chdir(tmp_path)
    pair = Issuer("Test CA").pair(HOST)
    host = PublicHost(HOST, write(tmp_path / "own", pair.chain, pair.key))

    def hosts(workspace: Workspace) -> tuple[PublicHost, ...]:
        return (host,) if workspace.project != "empty" else ()

    monkeypatch.setattr(public_hosts, "hosts", hosts)
    return tmp_path


def _iac(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, ["renew", *arguments])


def test_a_table_says_what_was_done(folder: Path) -> None:
    """Host, issuer, end, result; progress goes to stderr."""
    result = _iac("--project", "demo")
    assert result.exit_code == 0, result.output
    head, row = result.stdout.splitlines()
    assert head.split() == ["HOST", "ISSUER", "EXPIRES", "RESULT"]
    assert row.startswith("app.example.com  Test CA  20")
    assert row.endswith("installed")
    assert _iac("--project", "demo").stdout.splitlines()[1].endswith("kept")


def test_no_host_is_said(folder: Path) -> None:
    assert "No public host with TLS" in _iac("--project", "empty").stdout


def test_json(folder: Path) -> None:
    (host,) = json.loads(_iac("--project", "demo", "--json").stdout)["projects"]["demo"]
    assert (host["host"], host["issuer"], host["result"]) == (HOST, "Test CA", "installed")


def test_a_failure_has_the_code_of_certificates(folder: Path) -> None:
    """The table shows it, stderr says why; with --json the object has both."""
    (folder / "own" / "privkey.pem").chmod(0o644)
    result = _iac("--project", "demo")
    assert result.exit_code == 4
    assert result.stdout.splitlines()[1].endswith("failed")
    assert "chmod 600" in result.stderr
    assert "Traceback" not in result.output
    (host,) = json.loads(_iac("--project", "demo", "--json").stdout)["projects"]["demo"]
    assert "chmod 600" in host["error"]["next_step"]


def test_all_is_every_project_of_the_folder(folder: Path) -> None:
    """What the systemd timer calls: environments are projects."""
    for name in ("demo", "demo-staging"):
        state = Layout(folder).state(name)
        state.parent.mkdir(parents=True)
        state.write_text("{}")
    found = json.loads(_iac("--all", "--json").stdout)["projects"]
    results = {project: [host["result"] for host in hosts] for project, hosts in found.items()}
    assert results == {"demo": ["installed"], "demo-staging": ["installed"]}
    assert _iac("--all", HOST).exit_code == 2


def test_a_project_that_is_busy_keeps_no_other_from_renewing(folder: Path) -> None:
    """The timer is for all of them; the exit code makes it try again."""
    layout = Layout(folder)
    for name in ("a", "b"):
        layout.state(name).parent.mkdir(parents=True)
        layout.state(name).write_text("{}")
    with workspace_lock.hold(layout.project("a"), "iac deploy"):
        result = _iac("--all", "--json")
    assert list(json.loads(result.stdout)["projects"]) == ["b"]
    assert "project a: " in result.stderr
    assert result.exit_code == BusyError.exit_code
