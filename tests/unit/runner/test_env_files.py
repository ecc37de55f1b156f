from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from runner.settings import child_environment


def test_files_become_variables_of_the_program(tmp_path: Path) -> None:
    """Each file is a variable; it wins over the container's own; none without the folder."""
    (tmp_path / "TOKEN").write_text("s3cret")
    (tmp_path / "..data").mkdir()
    assert child_environment({"TOKEN": "", "A": "1"}, files=tmp_path) == {
        "TOKEN": "s3cret",
        "A": "1",
    }
    assert child_environment({"A": "1"}, files=tmp_path / "none") == {"A": "1"}


def test_every_byte_reaches_the_program(tmp_path: Path) -> None:
    """Carriage returns and bytes that are no UTF-8 arrive as they are."""
    secret = b"a\rb\r\ncaf\xe9\r"
    (tmp_path / "TOKEN").write_bytes(secret)
    script = "import os, sys; sys.stdout.buffer.write(os.environb[b'TOKEN'])"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=child_environment({}, files=tmp_path),
        capture_output=True,
        check=True,
    )
    assert done.stdout == secret
