"""The live view: what events come to, and what a real terminal shows of it."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from iac_wrapper.cli.live import View
from iac_wrapper.model.event import Event
from tests.support.docker_daemon import Daemon
from tests.support.screen import IAC, Terminal


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def _texts(view: View, width: int = 80, height: int = 24) -> list[str]:
    return [text for text, _ in view.lines(width, height)]


def test_a_line_a_service_says_what_is_being_done() -> None:
    """In words, with the time since work on it began; what ended stands still."""
    view = View(clock := Clock())
    view.tell(Event("step", "Resolving 2 slugs"))
    view.tell(Event("stage", "gh:acme/web", "web", "resolve"))
    view.tell(Event("stage", "commit 0123", "db", "fetch"))
    clock.now += 4
    view.tell(Event("progress", "web: starting", "web", "start"))
    view.tell(Event("stage", "SERVING after 3.0 s", "db", "done"))
    clock.now += 4
    head, db, web = _texts(view)
    assert head == "Resolving 2 slugs (8 s)"
    assert db == "  ✓ db     4.0 s  SERVING after 3.0 s"
    assert web[3:] == " web    8.0 s  starting"


def test_what_stays_true_is_not_taken_in() -> None:
    """Warnings and remarks are printed above; what is true for the moment only is not."""
    view = View(Clock())
    assert not view.tell(Event("warning", "web: has no limit", "web"))
    assert not view.tell(Event("progress", "the network gets 172.21.0.0/16"))
    assert view.tell(Event("progress", "docker_network.x: creating", stage="apply"))
    assert view.tell(Event("step", "Verifying"))


def test_a_small_screen_has_what_is_at_work() -> None:
    """No line is longer than the screen is wide, and what is over gives way."""
    view = View(Clock())
    view.tell(Event("step", "Verifying every service over mTLS"))
    for number in range(30):
        view.tell(Event("stage", "x" * 200, f"service-{number:02}", "prove"))
    for number in range(25):
        view.tell(Event("stage", "SERVING", f"service-{number:02}", "done"))
    lines = _texts(view, width=40, height=10)
    assert max(map(len, lines)) < 40
    assert len(lines) <= 10
    assert [n for n in range(30) if any(f"service-{n:02}" in line for line in lines)] == [
        *(0, 1, 25, 26, 27, 28, 29)
    ]
    assert lines[-1] == "  … and 23 more"


PROGRAM = """
import os, time, click
from iac_wrapper.cli import main, output
from iac_wrapper.cli.live import live
from iac_wrapper.model.event import Event
from iac_wrapper.model.redact import Redactor

@main.command()
def show():
    emit = output.progress(click.get_current_context().meta, Redactor(["hidden-value"]))
    with live():
        emit(Event("step", "Building 1 image"))
        emit(Event("stage", "installing hidden-value (2/3)", "web", "build"))
        time.sleep(float(os.environ.get("PAUSE", "0")))
        emit(Event("warning", "web: a warning that is " + "long " * 20))
        emit(Event("progress", "a remark"))
        emit(Event("progress", "web: starting", "web", "start"))
    click.echo("the result")
main()
"""


def _show(tmp_path: Path, *options: str, **environment: str) -> Terminal:
    argv = [sys.executable, "-c", PROGRAM, "show", *options]
    return Terminal(argv, tmp_path, environment, columns=60)


def test_a_terminal_is_left_with_what_stays(tmp_path: Path) -> None:
    """The lines that change are gone; a warning is one line, whatever the width; no secret."""
    seen = _show(tmp_path, PAUSE="0.4")
    assert "building: installing [redacted] (2/3)" in seen.written
    assert "hidden-value" not in seen.written
    assert "\x1b[?25l" not in seen.written  # the cursor is never hidden
    warning, *others = seen.lines
    assert warning.startswith("warning: web: a warning that is long long")
    assert [line.strip() for line in others if line.strip()] == ["a remark", "the result"]


@pytest.mark.parametrize(
    ("options", "environment", "lines"),
    [
        (["-v"], {}, ["==> Building 1 image", "    web: starting"]),
        ([], {"TERM": "dumb"}, ["==> Building 1 image"]),
        ([], {"CI": "true"}, ["==> Building 1 image"]),
        (["--quiet"], {}, []),
    ],
)
def test_other_forms_move_no_cursor(
    tmp_path: Path, options: list[str], environment: dict[str, str], lines: list[str]
) -> None:
    """Asked for lines, on a terminal that knows no more, in CI; quiet leaves the warning."""
    seen = _show(tmp_path, *options, **environment)
    assert "\x1b[1A" not in seen.written
    assert {*lines} <= {*seen.lines}
    assert any(line.startswith("warning:") for line in seen.lines)
    assert ("==> Building 1 image" in seen.lines) == bool(lines)
    assert seen.lines[-2] == "the result"


@pytest.mark.parametrize(
    ("options", "environment", "colored"),
    [
        ([], {}, True),
        ([], {"NO_COLOR": "1"}, False),
        (["--color", "never"], {"FORCE_COLOR": "1"}, False),
        (["--color=always"], {"NO_COLOR": "1"}, True),
    ],
)
def test_colours_are_as_asked(
    tmp_path: Path, options: list[str], environment: dict[str, str], colored: bool
) -> None:
    """By the option, else by what the environment says; live without colours as well."""
    seen = _show(tmp_path, *options, **environment)
    assert ("\x1b[2m" in seen.written) == colored
    assert "\x1b[1A" in seen.written


def test_ctrl_c_leaves_the_terminal_and_says_what_is_done(
    tmp_path: Path, engine_double: Daemon
) -> None:
    """While a server is waited for nothing was applied, and that is said at once: exit 130."""
    del engine_double
    for name in ("cdktf.json", "main.py"):
        (tmp_path / name).touch()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"

        sent: list[int] = []

        def interrupt(written: str, process: subprocess.Popen[bytes]) -> None:
            if "resolving gh:acme/app" in written and not sent:
                process.send_signal(signal.SIGINT)  # to git as well, if it comes from a terminal
                sent.append(process.pid)

        argv = [*IAC, "deploy", "gh:acme/app", "--project", "demo"]
        began = time.monotonic()
        seen = Terminal(argv, tmp_path, {"IAC_GITHUB_URL": url}, on_output=interrupt)
        assert time.monotonic() - began < 20  # the server is waited for up to 97 s
    assert seen.code == 130, seen.lines
    assert seen.is_as_before
    left = [line for line in seen.lines if line]
    assert left[0] == "error: interrupted before anything was replaced: what ran still runs"
    assert not any("Resolving" in line for line in left)
