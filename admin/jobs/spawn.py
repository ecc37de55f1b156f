"""Starts workers: the one module of the admin API that starts processes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from admin.jobs import worker_lock
from iac_wrapper.adapters.workspace_lock import Lock
from iac_wrapper.files import file_lock

_SERVICE_MANAGER = (
    "NOTIFY_SOCKET",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
)
"""What systemd tells the server, and nobody else."""


def spawn(folder: Path, lock: Lock, on_exit: Callable[[], None]) -> None:
    """Start the worker of the job in `folder`, in a session of its own, and give it `lock`.

    It goes on when this process ends. `on_exit` is called from a thread when it has ended.

    Raises:
        OSError: it cannot be started; `lock` is still ours.
    """
    alive = worker_lock.take(folder)
    if alive is None:
        raise BlockingIOError("the job has a worker already")
    try:
        process = _start(folder, (lock.fd, alive))
        with suppress(OSError):  # it notes that itself, too
            file_lock.note_pid(alive, process.pid)
    finally:
        os.close(alive)
    lock.hand_over()
    with suppress(RuntimeError):  # no more threads: its end is noticed by its lock
        threading.Thread(target=_reap, args=(process, on_exit), daemon=True).start()


def _start(folder: Path, fds: tuple[int, int]) -> subprocess.Popen[bytes]:
    log = os.open(folder / "worker.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        return subprocess.Popen(
            # -P: a folder admin/ in the working directory is not ours.
            (
                sys.executable,
                "-P",
                "-m",
                "admin.jobs.worker",
                str(folder.absolute()),
                *map(str, fds),
            ),
            cwd="/",
            env={k: v for k, v in os.environ.items() if k not in _SERVICE_MANAGER},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=fds,
        )
    finally:
        os.close(log)


def _reap(process: subprocess.Popen[bytes], on_exit: Callable[[], None]) -> None:
    process.wait()
    on_exit()
