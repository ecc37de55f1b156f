"""Scripts with Windows line ends, found in the source and held against what a real shell says."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from iac_wrapper.model.crash_patterns import find
from iac_wrapper.model.diagnosis import diagnose
from iac_wrapper.program.shell_scripts import with_windows_lines
from tests.support.deployed import app
from tests.unit.model.test_diagnosis import CRASHED, facts

WINDOWS = b"#!/bin/sh\r\nset -e\r\nexec true\r\n"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "bin").mkdir()
    for name in ("start.sh", "bin/run", "plain", "main"):
        (tmp_path / name).write_bytes(WINDOWS)
    (tmp_path / "plain").write_bytes(b"exec true\r\nexit\r\n")
    (tmp_path / "unix.sh").write_bytes(b"#!/bin/sh\nprintf 'a\r\n'\nexit\n")
    (tmp_path / "web.py").write_bytes(b"import os\r\nprint()\r\n")
    (tmp_path / "uwsgi.ini").write_bytes(b"[uwsgi]\r\nhttp = :80\r\n")
    (tmp_path / "program").write_bytes(b"#!\0\r\n\r\n")
    (tmp_path / "out.sh").symlink_to("/bin/sh")
    return tmp_path


@pytest.mark.parametrize(
    ("command", "found"),
    [
        ("sh start.sh", ["start.sh"]),
        ("/app/main", ["main"]),
        ("cd bin && bash -e ./bin/run", ["bin/run"]),
        ("sh plain", ["plain"]),
        ("echo plain", []),
        ("sh unix.sh", []),
        ("python web.py", []),
        ("uwsgi --ini uwsgi.ini", []),
        ("sh program; sh out.sh; sh ../x.sh; sh gone.sh; sh bin", []),
    ],
)
def test_scripts_are_told_from_what_may_have_such_lines(
    source: Path, command: str, found: list[str]
) -> None:
    """By name, first line or caller; Python and configuration files read them well."""
    assert list(with_windows_lines(source, command, [])) == found


def test_a_script_that_another_calls_is_found_by_its_complaint(source: Path) -> None:
    """The output names it."""
    said = ["up", "/app/bin/run: 2: set: Illegal option -"]
    assert with_windows_lines(source, "sh unix.sh", said) == ("bin/run",)


SCRIPTS = {
    "option": "#!/bin/sh\nset -e\n",
    "pipefail": "set -euo pipefail\n",
    "command": "\ntrue\nexit 3\n",
    "if": "if true; then\n exit 3\nfi\nexit 4\n",
    "for": "for i in 1 2; do\n exit 3\ndone\n",
    "case": "case x in\n x) exit 3;;\nesac\n",
    "file": "exec python3 main.py\n",
}


@pytest.mark.parametrize("shell", ["sh", "bash"])
@pytest.mark.parametrize("text", SCRIPTS.values(), ids=SCRIPTS)
def test_what_a_shell_says_is_the_cause(tmp_path: Path, shell: str, text: str) -> None:
    """Whichever it is, with the file and the command that mends it; the command does."""
    script = tmp_path / "start.sh"
    script.write_bytes(text.replace("\n", "\r\n").encode())
    done = subprocess.run([shell, "start.sh"], cwd=tmp_path, capture_output=True, check=False)
    if not done.returncode:
        pytest.skip(f"{shell} reads it")
    lines = [line.rstrip("\r") for line in done.stderr.decode().rstrip("\n").split("\n")]
    scripts = with_windows_lines(tmp_path, f"{shell} start.sh", lines)
    finding = diagnose(facts(CRASHED, lines=lines, windows_scripts=scripts)).finding
    assert finding.code == "windows-lines", lines
    assert finding.cause.startswith("start.sh has Windows line ends (CR LF)")
    mend = finding.next_step.split("`")[1]
    subprocess.run(["sh", "-c", mend], cwd=tmp_path, check=True)
    assert script.read_text() == text


def test_a_known_cause_of_the_program_comes_first() -> None:
    """A script may work in spite of its line ends; what they spoil is no missing module."""
    missing = ["ModuleNotFoundError: No module named 'yaml'"]
    found = diagnose(facts(CRASHED, lines=missing, windows_scripts=("start.sh",))).finding
    assert found.code == "missing-module"
    spoilt = ["ModuleNotFoundError: No module named 'web\\r'"]
    found = diagnose(facts(CRASHED, lines=spoilt, windows_scripts=("start.sh",))).finding
    assert (found.code, found.evidence) == ("windows-lines", spoilt[0])
    own = ["ValueError: bad"]
    found = diagnose(facts(CRASHED, lines=own, windows_scripts=("start.sh",))).finding
    assert found.cause == "exited with code 1", "nothing points to the script"


def test_without_the_source_the_shells_words_name_the_script() -> None:
    """A checkout may be gone; of others than shells only the program is known."""
    for line, name in (
        ("start.sh: 2: set: Illegal option -", "start.sh"),
        ("/app/start.sh: line 3: $'ls\\r': command not found", "start.sh"),
        ("start.sh: 3: echo\r: not found", "start.sh"),
        ("launch: start.sh has Windows line ends (CR LF)", "start.sh"),
        ("/usr/bin/env: 'bash\\r': No such file or directory", "a script that it runs"),
    ):
        found = find([line], app("web"))
        assert found
        assert found.cause == f"{name} has Windows line ends (CR LF)"
    binary = replace(app("web").entrypoint, kind="binary", target="/app/main")
    found = find([line], replace(app("web"), entrypoint=binary))
    assert found
    assert found.cause == "main has Windows line ends (CR LF)"
