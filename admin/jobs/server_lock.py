"""One server per project folder: two would start a queued job twice."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from iac_wrapper.errors import BusyError


class ServerLock:
    """A `flock` on ``server.lock`` in `directory`; the kernel frees it when the server ends."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "server.lock"
        self._fd: int | None = None

    def take(self) -> None:
        """Be the server of this folder; once is enough.

        Raises:
            BusyError: another one is.
        """
        if self._fd is not None:
            return
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            found = os.pread(fd, 20, 0).decode(errors="replace").strip()
            os.close(fd)
            raise BusyError(
                "another server of the admin API works on this project folder",
                where=str(self._path),
                found=f"process {found}" if found else "a process that is just starting",
                next_step="use that one, or stop it first",
            ) from None
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        self._fd = fd

    def release(self) -> None:
        """Let the next one in."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
