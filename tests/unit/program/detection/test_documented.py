"""The table of places in docs/entrypoints.md is what detection does."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import pytest

from iac_wrapper.program.detection import detect
from iac_wrapper.program.detection.documented import PLACES, places

LOOP = "import time\nwhile True:\n    time.sleep(1)\n"

EXAMPLES: Mapping[str, tuple[Mapping[str, str], str]] = {
    "override": ({"named.py": LOOP}, "named.py"),
    "procfile": ({"Procfile": "web: python line.py\n", "line.py": LOOP}, "line.py"),
    "platform": (
        {"nixpacks.toml": '[start]\ncmd = "python begin.py"\n', "begin.py": LOOP},
        "begin.py",
    ),
    "root": ({"main.py": LOOP}, "main.py"),
    "scripts": (
        {
            "pyproject.toml": '[project]\nname = "kiosk"\nscripts = {run = "till:start"}\n',
            "till.py": "import time\ndef start():\n    while True:\n        time.sleep(1)\n",
        },
        "till:start",
    ),
    "package": ({"kiosk/__init__.py": "", "kiosk/__main__.py": LOOP}, "kiosk"),
    "served": (
        {
            "requirements.txt": "flask\ngunicorn\n",
            "board/__init__.py": "",
            "board/web.py": "from flask import Flask\napp = Flask(__name__)\n",
        },
        "gunicorn board.web:app",
    ),
    "framework": (
        {"requirements.txt": "streamlit\n", "sales.py": "import streamlit as st\nst.title('x')\n"},
        "streamlit run sales.py",
    ),
    "app": ({"app.py": LOOP}, "app.py"),
    "src": ({"src/counter/__init__.py": "", "src/counter/__main__.py": LOOP}, "counter"),
    "supplied": (
        {
            "requirements.txt": "fastapi\n",
            "rooms/__init__.py": "",
            "rooms/web.py": "from fastapi import FastAPI\napp = FastAPI()\n",
        },
        "uvicorn rooms.web:app",
    ),
    "last": (
        {
            "requirements.txt": "celery\n",
            "queue_of_mails.py": "from celery import Celery\nmails = Celery('mails')\n",
        },
        "celery -A queue_of_mails",
    ),
    "scan": ({"clock.py": f"if __name__ == '__main__':\n    {LOOP.splitlines()[0]}\n"}, "clock.py"),
    "binary": ({"main": "#!/bin/sh\nexec sleep 1000\n"}, "/app/main"),
}
"""For each place the smallest checkout that has a program there, and how that is shown."""


def _write(root: Path, *keys: str) -> Path:
    """A checkout with the examples of all `keys`: requirements are joined."""
    for key in keys:
        for name, text in EXAMPLES[key][0].items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            before = path.read_text() if path.is_file() else ""
            path.write_text(before + text)
            path.chmod(0o755)
    return root


def _program(root: Path, key: str) -> str:
    named = "named.py" if key == "override" else None
    return detect(root, entrypoint=named).entrypoint.display


def test_every_place_has_an_example() -> None:
    """A row that is added to the table is tested as well."""
    assert list(EXAMPLES) == [place.key for place in PLACES]


@pytest.mark.parametrize("key", [place.key for place in places()])
def test_a_program_is_found_at_its_place(tmp_path: Path, key: str) -> None:
    """Where nothing else is."""
    assert _program(_write(tmp_path, key), key).startswith(EXAMPLES[key][1])


@pytest.mark.parametrize(("key", "later"), [(a.key, b.key) for a, b in pairwise(places())], ids=str)
def test_a_place_comes_before_the_next(tmp_path: Path, key: str, later: str) -> None:
    """In a checkout that has both."""
    assert _program(_write(tmp_path, key, later), key).startswith(EXAMPLES[key][1])
