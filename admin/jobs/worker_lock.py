"""Whether a worker lives: it holds a `flock` on a file that names its process."""

from __future__ import annotations

import fcntl
import os
import signal
from pathlib import Path


def path_in(folder: Path) -> Path:
    """The file in a job's folder."""
    return folder / "worker.lock"


def take(folder: Path) -> int | None:
    """The file, open and locked; None if a worker lives."""
    fd = os.open(path_in(folder), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return fd


def note(fd: int, pid: int) -> None:
    """Write down which process the worker is."""
    os.pwrite(fd, f"{pid}\n".encode(), 0)


def is_held(folder: Path) -> bool:
    """Whether a worker lives."""
    if not path_in(folder).exists():
        return False
    fd = take(folder)
    if fd is not None:
        os.close(fd)
    return fd is None


def interrupt(folder: Path) -> None:
    """Ask a worker to stop, with the programs of its process group, as Ctrl-C does on a terminal.

    Terraform and image builds are in groups of their own: they are asked by the worker. A process
    that merely got the number of a worker that is gone is left alone.
    """
    try:
        pid = int(path_in(folder).read_text(encoding="utf-8"))
        if is_held(folder):
            os.killpg(pid, signal.SIGTERM)
    except (OSError, ValueError):
        pass
