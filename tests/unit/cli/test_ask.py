"""Questions at a real terminal: a pseudo-terminal stands for the person's."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from iac_wrapper.files.layout import Layout
from tests.support.deployed import app, deployed
from tests.support.docker_daemon import Daemon, FakeContainer

pytestmark = pytest.mark.slow  # each question is put by a program of its own, at a terminal

IAC = [sys.executable, "-c", "from iac_wrapper.cli import main; main()"]


@pytest.fixture
def folder(tmp_path: Path, engine_double: Daemon) -> Path:
    """A project folder in which `web` and `jobs` of the project demo run."""
    for name in ("cdktf.json", "main.py"):
        (tmp_path / name).touch()
    deployed(Layout(tmp_path), app("web"), app("jobs"))
    engine_double.add(FakeContainer("1", "demo", "web", "app"))
    (tmp_path / "repos.yaml").write_text("- gh:acme/jobs\n")
    labels = {"org.karstkit.project": "demo", "org.karstkit.service": "gone"}
    engine_double.images = [{"RepoTags": ["iac/demo-gone:0123456789ab"], "Labels": labels}]
    return tmp_path


def _at_a_terminal(folder: Path, *arguments: str, typed: bytes) -> tuple[int, str]:
    """Exit code and screen of a command whose question gets `typed` for an answer."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*IAC, *arguments, "--project", "demo"],
        cwd=folder,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        os.write(ours, typed)
        screen = b""
        while part := _read(ours):
            screen += part
    os.close(ours)
    return process.returncode, screen.decode().replace("\r\n", "\n")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the other end is closed
        return b""


@pytest.mark.parametrize(
    ("command", "question"),
    [
        (["deploy", "--file", "repos.yaml"], "repos.yaml does not list web. Remove"),
        (["remove", "web"], "Remove web from project demo, with keys and secret values?"),
        (["destroy"], "This removes all of project demo. Type its name to go on"),
        (["images", "prune"], "iac/demo-gone:0123456789ab\nRemove these images?"),
    ],
)
def test_no_is_an_answer(
    folder: Path, engine_double: Daemon, command: list[str], question: str
) -> None:
    """Each question names what would go; after a no nothing has changed: exit 2."""
    code, screen = _at_a_terminal(folder, *command, typed=b"n\n")
    assert code == 2, screen
    assert question in screen
    assert "not confirmed; nothing was changed" in screen
    assert engine_double.calls == []
    assert not (folder / "repos.lock.json").exists()


def test_yes_lets_the_deploy_go_on(folder: Path) -> None:
    """As far as this one comes: its folder has nothing to run."""
    (folder / "jobs").mkdir()
    (folder / "repos.yaml").write_text("- ./jobs\n")
    (folder / "jobs" / "README").touch()
    code, screen = _at_a_terminal(folder, "deploy", typed=b"y\n")
    assert code == 3, screen
    assert "does not list web. Remove" in screen
    assert "Resolving 1 slug" in screen


def test_destroy_shows_what_goes_and_takes_the_name(folder: Path, engine_double: Daemon) -> None:
    """A y is not enough; the project's name is."""
    code, screen = _at_a_terminal(folder, "destroy", typed=b"y\n")
    assert code == 2, screen
    assert "services: jobs, web\n" in screen
    code, screen = _at_a_terminal(folder, "destroy", typed=b"demo\n")
    assert code == 0, screen
    assert "Project demo is gone" in screen
    assert engine_double.containers == {}


def test_an_input_that_ends_at_a_question_is_an_interruption(
    folder: Path, engine_double: Daemon
) -> None:
    """Exit 130 without a traceback; Ctrl-D, as Ctrl-C."""
    code, screen = _at_a_terminal(folder, "destroy", typed=b"\x04")
    assert code == 130, screen
    assert "interrupted" in screen
    assert "Traceback" not in screen
    assert engine_double.calls == []
