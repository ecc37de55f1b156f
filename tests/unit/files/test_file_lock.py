from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from iac_wrapper.files import file_lock


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    """The second gets nothing until the first lets go, and may read who that is."""
    path = tmp_path / "x.lock"
    fd = file_lock.acquire(path)
    assert fd is not None
    file_lock.note_pid(fd, 1234567)
    file_lock.note_pid(fd, 12)
    assert file_lock.acquire(path) is None
    assert file_lock.noted_pid(path) == 12
    assert not os.get_inheritable(fd)
    file_lock.release(fd)
    again = file_lock.acquire(path)
    assert again is not None
    os.close(again)


def test_no_link_is_followed(tmp_path: Path) -> None:
    """A lock file is never created through somebody's link."""
    (tmp_path / "x.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        file_lock.acquire(tmp_path / "x.lock")
    assert not (tmp_path / "elsewhere").exists()


def test_holding_waits_and_says_so_once(tmp_path: Path) -> None:
    """A folder can be held too; the block begins when the other one ended."""
    said: list[str] = []
    entered = threading.Event()

    def second() -> None:
        with file_lock.hold(os.open(tmp_path, os.O_RDONLY), lambda: said.append("waits")):
            entered.set()

    thread = threading.Thread(target=second)
    with file_lock.hold(os.open(tmp_path, os.O_RDONLY), lambda: said.append("never")):
        thread.start()
        assert not entered.wait(0.2)
    thread.join(5)
    assert entered.is_set()
    assert said == ["waits"]


def test_what_is_no_number_names_nobody(tmp_path: Path) -> None:
    """A file that is missing, empty or damaged is no error in the middle of another message."""
    path = tmp_path / "x.lock"
    assert file_lock.noted_pid(path) is None
    path.write_bytes(b"\xff")
    assert file_lock.noted_pid(path) is None
