from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from iac_wrapper.adapters import workspace_lock
from iac_wrapper.adapters.workspace_lock import LOCK_NAME, acquire, adopt, hold, holder
from iac_wrapper.errors import BusyError

_HOLDER = """
import sys, pathlib
from iac_wrapper.adapters.workspace_lock import hold
with hold(pathlib.Path(sys.argv[1]), "iac deploy"):
    print("held", flush=True)
    sys.stdin.read()
"""

_ADOPTER = """
import subprocess, sys, pathlib
from iac_wrapper.adapters.workspace_lock import adopt
adopt(pathlib.Path(sys.argv[1]), int(sys.argv[2]), "worker", by="alice")
child = subprocess.Popen(["sleep", "60"], close_fds=False, stdout=subprocess.DEVNULL)
print(child.pid, flush=True)
sys.stdin.read()
"""


def _is_free(directory: Path) -> bool:
    try:
        acquire(directory, "probe").release()
    except BusyError:
        return False
    return True


def test_a_second_holder_is_told_who_holds_it_since_when(tmp_path: Path) -> None:
    """Another process's hold names its command and process; its end frees the project."""
    command = [sys.executable, "-c", _HOLDER, str(tmp_path / "demo")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"held\n"
        with (
            pytest.raises(BusyError, match="project demo is busy") as caught,
            hold(tmp_path / "demo", "x"),
        ):
            pytest.fail("held twice")
        assert f"`iac deploy` (process {process.pid}) since 20" in (caught.value.found or "")
        seen = holder(tmp_path / "demo")
        assert seen
        assert (seen.pid, seen.command, seen.by) == (process.pid, "iac deploy", "")
        process.kill()
    assert holder(tmp_path / "demo") is None
    with hold(tmp_path / "demo", "iac plan"):
        pass


def test_the_hold_ends_with_the_block_also_on_errors(tmp_path: Path) -> None:
    """An exception frees the project."""
    with pytest.raises(RuntimeError), hold(tmp_path, "a"):
        raise RuntimeError
    with hold(tmp_path, "b"):
        pass


def test_a_lock_can_be_handed_to_another_process(tmp_path: Path) -> None:
    """It holds the project from then on, by its own name; the programs it starts do not."""
    lock = acquire(tmp_path, "server", by="alice")
    since = json.loads((tmp_path / LOCK_NAME).read_text())["since"]
    command = [sys.executable, "-c", _ADOPTER, str(tmp_path), str(lock.fd)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, pass_fds=[lock.fd]) as worker:
        assert worker.stdout
        child = int(worker.stdout.readline())
        try:
            lock.hand_over()
            with pytest.raises(BusyError) as caught:
                acquire(tmp_path, "other")
            assert caught.value.found == (f"`worker` by alice (process {worker.pid}) since {since}")
            worker.kill()
            worker.wait()
            assert _is_free(tmp_path)
        finally:
            os.kill(child, 9)


def test_release_frees_a_shared_lock(tmp_path: Path) -> None:
    """A process that is being started has copies of every file for a moment."""
    lock = acquire(tmp_path, "a")
    copy = os.dup(lock.fd)
    lock.release()
    assert _is_free(tmp_path)
    os.close(copy)


def test_an_adopted_lock_says_who_has_it_now(tmp_path: Path) -> None:
    """What was written before goes, whatever its length; only its time stays."""
    lock = acquire(tmp_path, "a long command of the server that took it")
    before = holder(tmp_path)
    adopt(tmp_path, lock.fd, "x")
    after = holder(tmp_path)
    assert before
    assert after
    assert (after.command, after.since) == ("x", before.since)
    lock.release()
    assert (tmp_path / LOCK_NAME).read_text() == ""


def test_a_lock_on_a_file_that_was_removed_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A destroy removes the folder while it holds it: who opened the file before tries again."""
    directory = tmp_path / "demo"
    destroying = acquire(directory, "iac destroy")
    flock, opened = fcntl.flock, threading.Event()

    def late(fd: int, operation: int) -> None:
        if not opened.is_set():  # between our open and our lock, the destroy ends
            opened.set()
            workspace_lock.remove(directory)
            destroying.release()
        flock(fd, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    mine = acquire(directory, "iac deploy")
    assert opened.is_set()
    assert os.path.samestat(os.fstat(mine.fd), (directory / LOCK_NAME).stat())
    assert not _is_free(directory)
    mine.release()


def test_removing_takes_the_lock_last(tmp_path: Path) -> None:
    """Everything goes, links are not followed; a folder that is not there is no error."""
    directory, elsewhere = tmp_path / "demo", tmp_path / "kept"
    elsewhere.mkdir()
    with hold(directory, "iac destroy"):
        (directory / "log").mkdir()
        (directory / "log" / "x").touch()
        (directory / "terraform.tfstate").touch()
        (directory / "link").symlink_to(elsewhere)
        workspace_lock.remove(directory)
        assert not directory.exists()
    assert elsewhere.exists()
    workspace_lock.remove(directory)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', '{"pid": 1, "x": 2}'])
def test_a_holder_that_cannot_be_read_is_still_a_holder(tmp_path: Path, text: str) -> None:
    """It is just starting, or of another version."""
    lock = acquire(tmp_path, "x")
    (tmp_path / LOCK_NAME).write_text(text)
    assert holder(tmp_path) is None
    with pytest.raises(BusyError) as caught:
        acquire(tmp_path, "y")
    assert caught.value.found == "another command that is just starting or ending"
    lock.release()


def test_the_folder_is_closed(tmp_path: Path) -> None:
    """State and lock are for the owner only."""
    (tmp_path / "demo").mkdir(mode=0o755)
    with hold(tmp_path / "demo", "x"):
        assert (tmp_path / "demo").stat().st_mode & 0o777 == 0o700
        assert (tmp_path / "demo" / LOCK_NAME).stat().st_mode & 0o777 == 0o600
