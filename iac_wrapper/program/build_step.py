"""A step of a build in words: what a person waits for, without the options of BuildKit."""

from __future__ import annotations

import re

_STEP = re.compile(r"\[(?:(?P<stage>\S+) )?(?P<at>\d+/\d+)\] (?P<word>\S+) ?(?P<rest>.*)", re.S)

_OURS = (
    ("/run/apt.sh", "installing Debian packages"),
    ("/opt/iac/bin/uv python find", "checking the version of Python"),
    ("/opt/iac/bin/uv venv", "making the virtual environment"),
    ("collectstatic", "collecting static files"),
    ("-m compileall", "compiling bytecode"),
    ("/opt/iac/bin/uv", "installing Python packages"),
    ("-exec ldd", "looking for libraries"),
)
"""What tells the steps of our own Dockerfile (templates/Dockerfile.j2) apart, first match first."""

_WORDS = {"FROM": "taking the base image", "COPY": "copying files", "ADD": "copying files"}


def words(step: str) -> str:
    """``installing Python packages (3/7)`` for BuildKit's ``[build 3/7] RUN --mount=… uv sync``."""
    found = _STEP.match(step)
    return f"{_what(found['word'], found['rest'])} ({found['at']})" if found else step


def _what(word: str, rest: str) -> str:
    if word != "RUN":
        return _WORDS.get(word, f"{word} {rest}")
    ours = next((said for sign, said in _OURS if sign in rest), None)
    command = " ".join(re.sub(r"--(?:mount|network|security)=\S+", "", rest).split())
    return ours or f"running {command}"
