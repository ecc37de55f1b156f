"""Whether a worker lives: it holds a `flock` on a file that names its process."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

from iac_wrapper.files import file_lock


def path_in(folder: Path) -> Path:
    """The file in a job's folder."""
    return folder / "worker.lock"


def take(folder: Path) -> int | None:
    """The file, open and locked; None if a worker lives."""
    return file_lock.acquire(path_in(folder))


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
    pid = file_lock.noted_pid(path_in(folder))
    if pid is not None and is_held(folder):
        with suppress(OSError):
            os.killpg(pid, signal.SIGTERM)
