"""A script that reads files of its own folder by their bare names is started there."""

from __future__ import annotations

from pathlib import Path

import pytest

from iac_wrapper.program.detection import detect
from tests.unit.program.detection.test_detection import tree

READS = "def given():\n    return open({!r}).read()\n"
SERVER = (
    "from http.server import HTTPServer as S, BaseHTTPRequestHandler as H\n"
    "import given\n"
    "if __name__ == '__main__':\n    given.given()\n    S(('', 80), H).serve_forever()\n"
)


def program(root: Path, name: str, **files: str) -> tuple[str, list[str]]:
    usual = {"shop/server.py": SERVER, "shop/given.py": READS.format(name)}
    paths = {path.replace("__", "/") + ".ini": text for path, text in files.items()}
    found = detect(tree(root, {**usual, **paths, "requirements.txt": ""}))
    return found.entrypoint.display, [note for note in found.notes if "is started in" in note]


def test_it_is_started_there(tmp_path: Path) -> None:
    """What it is for is known all the same, and the line says why."""
    display, (note,) = program(tmp_path, "rules.ini", shop__rules="")
    assert "cd shop && exec python server.py" in display
    assert "it reads rules.ini, which lies there alone" in note
    assert detect(tmp_path).entrypoint.run == "web"


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("rules.ini", {}),
        ("rules.ini", {"rules": "", "shop__rules": ""}),
        ("shop/rules.ini", {"shop__rules": ""}),
    ],
)
def test_it_is_started_at_the_root(tmp_path: Path, name: str, files: dict[str, str]) -> None:
    """Where the root has what it reads, or nobody has."""
    assert program(tmp_path, name, **files) == ("shop/server.py", [])
