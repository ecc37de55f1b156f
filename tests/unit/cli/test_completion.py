"""`iac completion` in a real bash, and what `iac` answers the other shells; `iac version`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from iac_wrapper import __version__, cli
from iac_wrapper.files.layout import Layout
from tests.support.deployed import app, deployed
from tests.support.docker_daemon import Daemon

PRESS_TAB = """
eval "$(iac completion bash)"
COMP_WORDS=(iac logs w) COMP_CWORD=2
_iac_completion iac
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder with two deployed projects, and `iac` on PATH; no engine."""
    for name in ("cdktf.json", "main.py"):
        (tmp_path / name).write_text("")
    deployed(Layout(tmp_path), app("web"), app("worker"), app("db"))
    deployed(Layout(tmp_path), app("mail"), project="demo-staging")
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.setenv("IAC_PROJECT", "demo")
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _tab(words: str, incomplete: str = "") -> list[str]:
    """What a shell offers after these words."""
    shell = ShellComplete(cli.main, {}, "iac", "_IAC_COMPLETE")
    return [item.value for item in shell.get_completions(words.split(), incomplete)]


@pytest.mark.slow
@pytest.mark.usefixtures("folder")
def test_bash_completes() -> None:
    """As a real one does when a person presses the key."""
    done = subprocess.run(["bash", "-c", PRESS_TAB], capture_output=True, text=True, check=True)
    assert (done.stdout.split(), done.stderr) == (["web", "worker"], "")


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("words", "incomplete", "expected"),
    [
        ("", "comp", ["completion"]),
        ("completion", "", ["bash", "zsh", "fish"]),
        ("logs", "w", ["web", "worker"]),
        ("logs web", "d", ["db"]),
        ("logs --service", "d", ["db"]),
        ("exec", "", ["db", "web", "worker"]),
        ("run", "d", ["db"]),
        ("open", "d", ["db"]),
        ("proxy", "d", ["db"]),
        ("deploy", "d", ["db"]),
        ("remove", "d", ["db"]),
        ("certs rotate", "d", ["db"]),
        ("env set", "d", ["db"]),
        ("env unset", "d", ["db"]),
        ("env list web", "d", ["db"]),
        ("logs --project demo-staging", "", ["mail"]),
        ("logs --env staging", "", ["mail"]),
        ("health --project", "demo-", ["demo-staging"]),
        ("doctor --project", "demo-", ["demo-staging"]),
    ],
)
def test_what_is_completed(words: str, incomplete: str, expected: list[str]) -> None:
    """Commands, choices, services of the project that is named, projects."""
    assert _tab(words, incomplete) == expected


def test_another_folder_and_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`-C` counts; where nothing can be read nothing is offered, and nothing is said."""
    monkeypatch.chdir("/")
    assert _tab(f"-C {folder} remove", "we") == ["web"]
    (folder / ".env").write_text("A='\n")
    assert _tab(f"-C {folder} remove") == []
    (folder / ".env").unlink()
    Layout(folder).state("demo").write_text("{")
    assert _tab(f"-C {folder} remove") == []


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(("shell", "answer"), [("zsh", "plain\nweb\n"), ("fish", "plain,web")])
def test_the_other_shells_ask_in_their_own_way(shell: str, answer: str) -> None:
    """The script that is printed asks as it is answered here."""
    script = CliRunner().invoke(cli.main, ["completion", shell]).stdout
    assert f"_IAC_COMPLETE={shell}_complete" in script
    question = {"_IAC_COMPLETE": f"{shell}_complete", "COMP_WORDS": "iac open we"}
    question["COMP_CWORD"] = "we" if shell == "fish" else "2"
    assert answer in CliRunner(env=question).invoke(cli.main, prog_name="iac").stdout


def test_versions_where_there_is_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No set-up and no engine: it says its own, and what is not found."""
    monkeypatch.setenv("IAC_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere")
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(cli.main, ["version"])
    assert result.exit_code == 0
    found = dict(line.split(maxsplit=1) for line in result.stdout.splitlines() if "CLI" not in line)
    assert (found["iac"], found["engine"], found["envoy"]) == (
        __version__,
        "not found",
        "not found",
    )


def test_versions_as_json(engine_double: Daemon) -> None:
    """The engine's is its own answer."""
    engine_double.version = "27.0.1"
    found = json.loads(CliRunner().invoke(cli.main, ["version", "--json"]).stdout)
    assert (found["iac"], found["engine"]) == (__version__, "27.0.1")
    assert {"docker CLI", "terraform", "provider", "envoy", "node", "python"} <= found.keys()
