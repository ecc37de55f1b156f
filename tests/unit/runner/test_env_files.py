from __future__ import annotations

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
