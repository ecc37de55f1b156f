"""Folders and files of secrets are closed, or it is said who could close them."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from iac_wrapper.errors import CertificateError
from iac_wrapper.files.private_files import private_directory, private_file, unreadable


def test_whatever_was_there_is_closed(tmp_path: Path) -> None:
    """A missing folder is made; open ones and open files lose every bit of others."""
    private_directory(tmp_path / "new" / "inner")
    (tmp_path / "file").touch(0o666)
    private_file(tmp_path / "file")
    tmp_path.chmod(0o2775)
    private_directory(tmp_path)
    paths = (tmp_path, tmp_path / "new" / "inner", tmp_path / "file")
    assert [path.stat().st_mode & 0o7777 for path in paths] == [0o700, 0o700, 0o600]


def test_what_is_closed_is_not_touched(tmp_path: Path) -> None:
    """Another user's folder that is closed already is no error, nor a new ctime."""
    private_directory(tmp_path / "x")
    before = (tmp_path / "x").stat()
    private_directory(tmp_path / "x")
    assert (tmp_path / "x").stat().st_ctime_ns == before.st_ctime_ns


@pytest.mark.parametrize("close", [private_directory, private_file])
def test_what_cannot_be_closed_names_the_owner(close: object) -> None:
    """Not even root changes modes in /proc: a folder that stays open is an error."""
    assert callable(close)
    with pytest.raises(CertificateError, match=r"owner .*uid") as caught:
        close(Path("/proc/sys"))
    assert caught.value.where == "/proc/sys"
    assert "chmod" in (caught.value.next_step or "")


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    """A file in its place is named."""
    (tmp_path / "file").touch()
    with pytest.raises(CertificateError, match="cannot use the secrets"):
        private_directory(tmp_path / "file" / "x")


@pytest.mark.parametrize(
    ("number", "step"),
    [(errno.EACCES, "chown"), (errno.ENOSPC, "free some space"), (errno.ENOENT, "iac deploy")],
)
def test_each_reason_has_its_next_step(number: int, step: str) -> None:
    error = unreadable(Path("/x"), OSError(number, os.strerror(number)))
    assert step in (error.next_step or "")
