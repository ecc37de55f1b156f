"""`iac logs` as people type it: what is chosen, and how a line looks."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from iac_wrapper import cli, settings
from iac_wrapper.files.layout import Layout
from iac_wrapper.operations import kept_logs
from iac_wrapper.operations.workspace import Workspace
from tests.support.deployed import app
from tests.support.docker_daemon import Daemon, FakeContainer


@pytest.fixture(autouse=True)
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine_double: Daemon) -> None:
    """A project folder with two services."""
    for name in ("cdktf.json", "main.py"):
        (tmp_path / name).write_text("")
    monkeypatch.chdir(tmp_path)
    for number, service in enumerate(("web", "db"), start=1):
        lines = [(1, f"{service} \x1b[31mstarts\x1b[0m\n".encode()), (1, b"error 17\n")]
        times = [f"2026-11-28T10:00:0{number + second}.5Z" for second in (0, 2)]
        engine_double.add(
            FakeContainer(str(number), "demo", service, "app", log=lines, times=times)
        )


def _iac(*arguments: str, color: bool = False, **env: str) -> Result:
    words = ["logs", "--project", "demo", *arguments]
    return CliRunner(env=env).invoke(cli.main, words, color=color)


def test_services_are_merged_and_can_be_chosen() -> None:
    """The short forms of options are those of others' tools."""
    lines = ["web | web starts", "db | db starts", "web | error 17", "db | error 17"]
    assert _iac().stdout.splitlines() == lines
    assert _iac("-f").stdout.splitlines() == lines
    assert _iac("-n", "1").stdout.splitlines() == lines[2:]
    assert _iac("--grep", "starts", "db").stdout.splitlines() == [lines[1]]
    assert _iac("--since", "2026-11-28T10:00:03Z").stdout.splitlines() == lines[2:]
    assert _iac("--until", "2026-11-28T10:00:02Z", "-n", "5").stdout.splitlines() == lines[:1]


def test_each_line_can_have_its_time() -> None:
    """In JSON it has it anyway."""
    assert _iac("-t", "web").stdout.splitlines()[0] == "2026-11-28T10:00:01.500Z web | web starts"
    found = json.loads(_iac("web", "--json").stdout.splitlines()[0])
    assert found["time"] == "2026-11-28T10:00:01.500000+00:00"


def test_colours_are_for_terminals_and_can_be_refused() -> None:
    """One for each service; what programs print never steers the terminal."""
    colored = _iac(color=True).stdout
    assert "\x1b[36mweb |\x1b[0m web starts\n" in colored
    assert "\x1b[33mdb |\x1b[0m db starts\n" in colored
    assert "\x1b" not in _iac().stdout
    assert "\x1b[36m" in _iac(color=True, NO_COLOR="").stdout


def test_the_version_before_is_asked_for_by_its_name(tmp_path: Path, engine_double: Daemon) -> None:
    """It is not among the lines of today; a file on disk has it, for nobody else to read."""
    workspace = Workspace(Layout(tmp_path), settings.load_settings(None), "demo", lambda _: None)
    old = FakeContainer("9", "demo", "old", "app", log=[(1, b"starts\nerror 17\n")])
    engine_double.add(old)
    container = workspace.engine.container("9")
    kept_logs.keep(workspace, "previous", replace(app("web"), commit="c" * 40), container)

    title, *lines = _iac("web", "--previous", "-n", "1").stdout.splitlines()

    assert title.startswith(
        f"web/previous | --- the last lines of the version before (commit {'c' * 12},"
    )
    assert lines == ["web/previous | error 17"]
    assert _iac("-p", "--grep", "starts").stdout == "web/previous | starts\n"
    assert "previous" not in _iac("web").stdout
    path = workspace.layout.kept_log("demo", "previous", "web")
    assert path.stat().st_mode & 0o777 == 0o600
    refused = _iac("db", "-p")
    assert (refused.exit_code, "found:    those of web" in refused.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--previous", "-f"], "its program is gone"),
        (["--previous", "--since", "1h"], "have no times"),
        (["--since", "soon"], "--since: not a time"),
        (["--grep", "("], "--grep: not a regular expression"),
        (["--until", "1m", "-f"], "what comes has no end"),
        (["--since", "1m", "web-20261128T100000-0a1b2c3d"], "no service"),
    ],
)
def test_what_cannot_be_meant(arguments: list[str], words: str) -> None:
    result = _iac(*arguments)
    assert (result.exit_code, words in result.stderr) == (2, True), result.output
