"""Locks that processes hold on files (flock).

A lock belongs to the open file: whoever inherits that shares the lock, and the kernel frees it when
the last of them ends, however that ends. So nothing stale stays.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_MODE = 0o600


def acquire(path: Path) -> int | None:
    """Open the file at `path`, made if missing and never through a link, and lock it.

    Returns:
        The open file, which no child inherits by itself; None if somebody else holds it.

    Raises:
        OSError: it cannot be made or opened.
    """
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, _MODE)
        if not _try(fd):
            os.close(fd)
            return None
        if _has_name(fd, path):
            return fd
        os.close(fd)  # its holder removed it while we waited to open it: it protects nothing


def release(fd: int) -> None:
    """Free the lock, whichever processes share it, and close the file."""
    fcntl.flock(fd, fcntl.LOCK_UN)
    os.close(fd)


@contextmanager
def hold(fd: int, on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Wait for the lock on an open file or folder, and close that after the block.

    Args:
        fd: the open file.
        on_wait: called once if somebody else holds it.
    """
    try:
        if not _try(fd):
            on_wait()
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def note_pid(fd: int, pid: int) -> None:
    """Write into a held file which process holds it, for messages."""
    text = f"{pid}\n".encode()
    os.pwrite(fd, text, 0)  # before the rest goes: a reader finds no empty file
    os.ftruncate(fd, len(text))


def noted_pid(path: Path) -> int | None:
    """What `note_pid` wrote; None if there is nothing of the kind."""
    try:
        return int(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _try(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _has_name(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), path.lstat())
    except FileNotFoundError:
        return False
