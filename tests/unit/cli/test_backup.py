"""`iac backup` and `iac restore` as people type them, on an engine double."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from iac_wrapper import cli
from iac_wrapper.files.layout import Layout
from tests.support.deployed import app, deployed
from tests.support.docker_daemon import Daemon
from tests.support.receiver import receiving


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine_double: Daemon) -> Path:
    """An empty folder, beside that of a deployed project in which we are."""
    here, there = tmp_path / "here", tmp_path / "there"
    there.mkdir()
    deployed(Layout(here), app("web"))
    for name in ("cdktf.json", "main.py"):
        (here / name).write_text("")
    (here / ".env").write_text("IAC_PROJECT=demo\n")
    labels = {"org.karstkit.project": "demo", "org.karstkit.service": "web"}
    engine_double.volumes.append(
        {"Name": "demo-web-data", "Labels": {**labels, "org.karstkit.volume": "data"}}
    )
    monkeypatch.chdir(here)
    return there


def _iac(*arguments: str, data: bytes = b"") -> Result:
    return CliRunner().invoke(cli.main, arguments, input=data)


def test_a_project_goes_through_a_pipe(there: Path) -> None:
    """What is said goes to stderr then, so that a program that encrypts gets the file alone."""
    written = _iac("backup", "-")
    assert written.exit_code == 0, written.output
    assert written.stdout_bytes.startswith(b"karstkit-backup 1 ")
    assert "It holds keys and secret values, and is not encrypted" in written.stderr
    assert "volume demo-web-data (size unknown): without its data (--data)" in written.stderr

    done = _iac("-C", str(there), "restore", "-", data=written.stdout_bytes)

    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[0].startswith(f"Restored project demo in {there}: ")
    assert "volume demo-web-data: without data" in done.stdout
    assert done.stdout.splitlines()[-1] == "next: iac deploy --locked --project demo"
    assert json.loads(_iac("-C", str(there), "releases", "--json").stdout)["releases"][0][
        "kind"
    ] == ("restore")


def test_a_restore_is_told_to_the_receiver_of_the_project(there: Path) -> None:
    """As the ends of other commands are; the address is in the backup."""
    with receiving() as receiver:
        lines = [f"{name}={value}\n" for name, value in receiver.environment.items()]
        Path(".env").write_text("".join(["IAC_PROJECT=demo\n", *lines]))
        written = _iac("backup", "-")
        done = _iac("-C", str(there), "restore", "-", data=written.stdout_bytes)
        assert done.exit_code == 0, done.output
        (message,) = receiver.messages
    assert (message["type"], message["data"]["operation"]) == ("event.noted", "restore")


def test_an_error_leaves_no_file_and_no_folder(there: Path) -> None:
    """Whatever was there before stays."""
    kept = there.parent / "kept"
    kept.write_text("an older one")
    assert _iac("backup", str(kept), "--project", "none").exit_code == 2
    assert kept.read_text() == "an older one"
    assert "no folder for the backup" in _iac("backup", str(there / "no/x")).stderr
    refused = _iac("-C", str(there), "restore", str(kept), "--json")
    assert (refused.exit_code, json.loads(refused.stdout)["error"]["where"]) == (2, str(kept))
    assert list(there.iterdir()) == []
