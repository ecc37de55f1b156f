from __future__ import annotations

from pathlib import Path

import pytest

from iac_wrapper.files import log_file


def test_a_log_does_not_grow_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one before stays, and no more."""
    monkeypatch.setattr(log_file, "MOST_BYTES", 10)
    path = tmp_path / "terraform.log"
    for text in ("one\n", "two, a long one\n", "three\n", "four, a long one\n", "five\n"):
        log_file.append(path, text)
    assert path.read_text() == "five\n"
    assert (tmp_path / "terraform.log.1").read_text() == "three\nfour, a long one\n"
    assert len(list(tmp_path.iterdir())) == 2
