"""One server per project folder: two would start a queued job twice."""

from __future__ import annotations

import os
from pathlib import Path

from iac_wrapper.errors import BusyError
from iac_wrapper.files import file_lock


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
        self._fd = file_lock.acquire(self._path)
        if self._fd is None:
            found = file_lock.noted_pid(self._path)
            raise BusyError(
                "another server of the admin API works on this project folder",
                where=str(self._path),
                found=f"process {found}" if found else "a process that is just starting",
                next_step="use that one, or stop it first",
            )
        file_lock.note_pid(self._fd, os.getpid())

    def release(self) -> None:
        """Let the next one in."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
