"""A command in the place of the program, as a process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from iac_wrapper.model import one_off
from runner import execute

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
ABOVE = "import sys; from runner import execute; sys.exit(execute._supervise(sys.argv[1:], {}))"


def _execute(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "runner.execute", *arguments],
        cwd=ROOT,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_becomes_the_command() -> None:
    """The environment is the program's, exit code and SIGPIPE are as in a shell."""
    done = _execute("--", "sh", "-c", 'echo "$GREETING"; exit 3', GREETING="hello")
    piped = _execute("--", "sh", "-c", "yes 2>&1 | true; yes | head -1")
    assert (done.stdout, done.returncode) == ("hello\n", 3)
    assert (piped.stdout, piped.stderr) == ("y\n", "")


@pytest.mark.parametrize(("command", "code"), [("nosuch-program", 127), ("/etc/passwd", 126)])
def test_what_cannot_be_started_is_a_sentence(command: str, code: int) -> None:
    """Exit codes are those of a shell; no traceback."""
    done = _execute("--", command)
    assert done.returncode == code
    assert done.stderr.startswith(f"cannot start {command}: ")


def test_without_a_command_it_says_how() -> None:
    """It is for our own use, and says so all the same."""
    assert _execute("--").returncode == 2
    assert "usage" in _execute("true").stderr


@pytest.mark.parametrize(
    ("command", "code"), [("exit 7", 7), ("kill -9 $$", 137), ("sleep 60 & exit 0", 0)]
)
def test_above_a_command_it_ends_with_it(command: str, code: int) -> None:
    """Its exit code is the command's, 128 and the number for a signal; orphans hold nobody up."""
    done = subprocess.run(
        [sys.executable, "-c", ABOVE, "/bin/sh", "-c", command],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        check=False,
        timeout=10,
    )
    assert done.returncode == code


def test_above_a_command_it_passes_signals_on() -> None:
    """A container that is stopped stops the command in order."""
    script = "trap 'echo stopping; exit 9' TERM; echo up; while :; do sleep 0.05; done"
    with subprocess.Popen(
        [sys.executable, "-c", ABOVE, "/bin/sh", "-c", script],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"up\n"
        running.send_signal(signal.SIGTERM)
        assert running.stdout.read() == b"stopping\n"
        assert running.wait(10) == 9


def test_what_was_started_under_an_id_ends_with_it() -> None:
    """Its children too, and what ignores the request to end; nothing else."""
    assert execute.ID_VARIABLE == one_off.ID_VARIABLE
    script = "trap '' TERM HUP; echo up; sleep 60 & wait; wait"
    argv = [sys.executable, "-m", "runner.execute", "--", "/bin/sh", "-c", script]

    def start(identifier: str) -> subprocess.Popen[bytes]:
        env = {**os.environ, execute.ID_VARIABLE: identifier}
        started = subprocess.Popen(argv, cwd=ROOT, env=env, stdout=subprocess.PIPE)
        assert started.stdout is not None
        assert started.stdout.readline() == b"up\n"
        return started

    with start("one") as one, start("other") as other:
        try:
            execute.end("one")
            assert one.wait(5) == -signal.SIGKILL
            assert other.poll() is None
        finally:
            execute.end("other")
