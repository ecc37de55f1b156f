"""`iac releases`, `iac show` and `iac diff` as people use them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from iac_wrapper import cli, settings
from iac_wrapper.files.layout import Layout
from iac_wrapper.model.ledger import Caller
from iac_wrapper.operations import recording
from iac_wrapper.operations.workspace import Workspace
from tests.support.deployed import app, deployed


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A project folder that the command line finds."""
    (tmp_path / "cdktf.json").write_text("{}")
    (tmp_path / "main.py").write_text("")
    monkeypatch.chdir(tmp_path)
    return Workspace(Layout(tmp_path), settings.load_settings(tmp_path), "demo", print)


def _iac(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, [*arguments, "--project", "demo"])


def _fill(project: Workspace) -> None:
    names = [f"service-with-a-long-name-{number}" for number in range(9)]
    job = Caller("api", "8f14e45f-ceea-467e-9a5b-000000000000", "somebody@example.org", "j")
    for one, caller in ((project, project.caller), (project, job)):
        with recording.release(replace(one, caller=caller), "deploy") as release:
            release.start()
            deployed(project.layout, *map(app, names[: 2 if caller is job else 1]))
            release.moved = names
    recording.note(project, "rotate-ca", ["trust: all trust both authorities \x1b[31m" * 4])


def test_the_list_fits_a_terminal_and_is_newest_first(project: Workspace) -> None:
    """80 columns, whatever the names; nothing in it steers a terminal."""
    assert _iac("releases").output == "Nothing was done to this project yet.\n"
    _fill(project)
    result = _iac("releases")
    assert result.exit_code == 0, result.output
    head, *rows = result.stdout.splitlines()
    assert head.split() == ["N", "WHEN", "(UTC)", "WHAT", "BY", "VERDICT", "TOOK", "ABOUT"]
    assert [row.split()[0] for row in rows] == ["3", "2", "1"]
    assert all(len(line) <= 80 for line in (head, *rows))
    assert "\x1b" not in result.output
    assert "somebody@exam…" in rows[1]
    assert len(_iac("releases", "-n", "1").stdout.splitlines()) == 2
    data = json.loads(_iac("releases", "--json").stdout)
    assert [each["number"] for each in data["releases"]] == [3, 2, 1]
    assert data["remarks"] == []


def test_what_became_of_services_is_said(project: Workspace) -> None:
    """Those that came and went, and those that were broken before."""
    for names in (("a", "b"), ("b", "c")):
        with recording.release(project, "deploy") as release:
            release.start()
            deployed(project.layout, *map(app, names))
            release.end(broken=["b"])
    new, old = _iac("releases").stdout.splitlines()[1:]
    assert old.endswith("a added, b was broken before")
    assert "a removed, c added, b was" in new


def test_one_release_is_shown_in_full(project: Workspace) -> None:
    """With what was deployed after it, also by an event."""
    _fill(project)
    text = _iac("show", "2").output
    assert "by        somebody@example.org 8f14e45f-ceea-467e-9a5b-000000000000, as " in text
    assert "verdict   good" in text
    assert "service-with-a-long-name-1  aaaaaaaaaaaa  demo-" in text
    assert "event     3" in _iac("show", "3").output
    data = json.loads(_iac("show", "3", "--json").stdout)
    assert data["services"].keys() == {"service-with-a-long-name-0", "service-with-a-long-name-1"}
    missing = _iac("show", "9")
    assert missing.exit_code == 2
    assert "project demo has no release 9" in missing.output
    assert "found:    1 to 3" in missing.output


def test_a_difference_in_words(project: Workspace) -> None:
    """Old and new of each, or that there is none."""
    _fill(project)
    text = _iac("diff", "1", "2").output
    assert text.startswith("service-with-a-long-name-1: added\n")
    assert "  commit: none -> aaaaaaaaaaaa\n" in text
    assert _iac("diff", "2", "3").output == "After 2 and after 3 the same is deployed.\n"
    assert json.loads(_iac("diff", "2", "3", "--json").stdout)["services"] == []


def test_what_the_ledger_lacks_is_a_warning(project: Workspace) -> None:
    """A line that was cut off, with its place."""
    _fill(project)
    path = recording.ledger_of(project).path
    with path.open("a") as file:
        file.write('{"v": 1, "n": 4, "ty')
    result = _iac("releases")
    assert result.exit_code == 0
    assert f"warning: {path}:6 is cut off" in result.stderr


def test_a_rollback_says_where_it_went(project: Workspace) -> None:
    """In the list, and in full."""
    _fill(project)
    with recording.release(project, "rollback") as release:
        release.of = {"to": 1, "named": ["web"]}
        release.start()
        release.moved = ["web"]
    assert _iac("releases", "-n", "1").stdout.splitlines()[1].endswith("  to 1, web")
    text = _iac("show", "4").output
    assert "to        1\nnamed     web\n" in text


def test_hooks_are_shown(project: Workspace) -> None:
    """With what they said."""
    _fill(project)
    with recording.release(project, "deploy") as release:
        release.start()
        release.note_hook(hook="pre-deploy", exit_code=0, seconds=0.1, output="a\nb")
    release.note_hook(
        hook="post-deploy", exit_code=3, seconds=2.0, output="", fault="exited with 3"
    )
    text = _iac("show", "4").output
    assert "hook      pre-deploy ended with 0, 0.1 s\n          | a\n          | b\n" in text
    assert "hook      post-deploy exited with 3, 2.0 s\n" in text
