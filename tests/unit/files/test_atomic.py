"""A file is written whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from iac_wrapper.files.atomic import write_text


def test_atomic_write_leaves_nothing_behind_on_failure(tmp_path: Path) -> None:
    """A directory in the way: the error comes through, no temporary file stays."""
    (tmp_path / "target" / "x").mkdir(parents=True)
    with pytest.raises(OSError, match="target"):
        write_text(tmp_path / "target", "text")
    assert [p.name for p in tmp_path.iterdir()] == ["target"]
    write_text(tmp_path / "new" / "file", "text", mode=0o600)
    assert (tmp_path / "new" / "file").stat().st_mode & 0o777 == 0o600


def test_a_full_disk_leaves_the_old_file_and_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system names no file where it writes one."""
    write_text(tmp_path / "target", "old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as caught:
        write_text(tmp_path / "target", "new")
    assert caught.value.filename == str(tmp_path / "target")
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"target": "old"}
