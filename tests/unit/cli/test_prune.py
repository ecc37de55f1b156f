"""`iac prune` as people type it; what goes is in tests/unit/operations."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from iac_wrapper import cli
from iac_wrapper.files.atomic import write_text
from iac_wrapper.files.layout import Layout
from tests.support.docker_daemon import Daemon


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine_double: Daemon) -> Path:
    """A log of a project, in whose folder we are."""
    for name in ("cdktf.json", "main.py"):
        (tmp_path / name).write_text("")
    path = Layout(tmp_path).project("demo") / "log" / "terraform.log"
    write_text(path, "x" * 2000)
    monkeypatch.chdir(tmp_path)
    return path


def _iac(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, ["prune", "--project", "demo", *arguments])


def test_it_shows_removes_and_has_nothing_left(log: Path) -> None:
    """Without a terminal to ask at it removes nothing unless it is told to."""
    shown = _iac("--dry-run")
    assert shown.stdout.splitlines()[:2] == ["WHAT  COUNT  SIZE", "logs  1      2.0 kB"]
    refused = _iac()
    assert (refused.exit_code, "logs  1      2.0 kB" in refused.stderr) == (2, True)
    assert "iac prune --yes --project demo" in refused.stderr
    assert log.exists()
    done = _iac("--yes").stdout
    assert "logs  1      2.0 kB" in done
    assert " free before, " in done
    assert not log.exists()
    assert _iac().stdout == "There is nothing to remove.\n"


def test_in_json_each_thing_has_a_name(log: Path) -> None:
    data = json.loads(_iac("--yes", "--json").stdout)
    assert data["items"] == [{"kind": "logs", "name": log.name, "bytes": 2000}]
    assert data["kinds"] == [{"kind": "logs", "count": 1, "bytes": 2000}]
    assert data["disks"][0].keys() == {"path", "free_before", "free_after"}
