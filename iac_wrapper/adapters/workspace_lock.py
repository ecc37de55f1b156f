"""One mutating command per project at a time; the lock names its holder.

It is a `flock` on ``workspace.lock`` in the project's folder. Such a lock belongs to the open file,
not to a process: so the admin API takes it in the request and hands it to the worker it starts. The
kernel frees it when the last process that shares it ends, however that ends; nothing stale stays.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from iac_wrapper.errors import BusyError
from iac_wrapper.files import file_lock

LOCK_NAME = "workspace.lock"

KEEPER = "iac keep"
"""The command that holds a project for the seconds of a repair: others wait for it."""

KEEPER_SECONDS = 30.0
"""How long at most."""

_ATTEMPTS = 100
"""How often the folder may vanish under us: each time is one destroy that ended just then."""

_NOTE_SECONDS = 0.5
"""How long a holder may take from its lock to its note of who it is; measured: below 1 ms, but for
a machine with more to do than it can."""


@dataclass(frozen=True)
class Holder:
    """Who holds a project: process, command, since when (ISO 8601, UTC), for whom (may be "")."""

    pid: int
    command: str
    since: str
    by: str = ""

    def __str__(self) -> str:
        whose = f" by {self.by}" if self.by else ""
        return f"`{self.command}`{whose} (process {self.pid}) since {self.since}"


@dataclass(frozen=True)
class Lock:
    """A held project: its folder, and the open file that the lock belongs to."""

    directory: Path
    fd: int

    def note(self, command: str, *, by: str = "") -> None:
        """Write down who holds it; since when stays what it was.

        Not on a full disk: to hold it is what counts.
        """
        known = _record(self.directory)
        since = known.since if known else datetime.now(UTC).isoformat(timespec="seconds")
        text = json.dumps(asdict(Holder(os.getpid(), command, since, by))).encode()
        with suppress(OSError):
            os.pwrite(self.fd, text, 0)  # before the rest goes: a reader finds no empty file
            os.ftruncate(self.fd, len(text))

    def release(self) -> None:
        """Free the project, whichever processes share the lock."""
        os.ftruncate(self.fd, 0)
        file_lock.release(self.fd)

    def hand_over(self) -> None:
        """Forget the lock here: the process that inherited it goes on holding the project."""
        os.close(self.fd)


def acquire(directory: Path, command: str, *, by: str = "") -> Lock:
    """Hold the project whose folder is `directory` until the lock is released.

    A repair is waited for.

    Raises:
        BusyError: somebody else holds it; says who, what and since when.
    """
    deadline = time.monotonic() + KEEPER_SECONDS
    while True:
        try:
            return _acquire(directory, command, by=by)
        except BusyError:
            known = None if command == KEEPER else _record(directory)
            if known is None or known.command != KEEPER or time.monotonic() > deadline:
                raise
        time.sleep(0.1)


def _acquire(directory: Path, command: str, *, by: str) -> Lock:
    for _ in range(_ATTEMPTS):
        try:
            directory.mkdir(parents=True, exist_ok=True)
            directory.chmod(0o700)  # Terraform's state holds the values of `env:`
            fd = file_lock.acquire(directory / LOCK_NAME)
        except FileNotFoundError:  # the folder went away at that moment
            continue
        if fd is None:
            break
        os.ftruncate(fd, 0)  # what a process that was killed wrote
        lock = Lock(directory, fd)
        lock.note(command, by=by)
        return lock
    raise busy(directory)


def adopt(directory: Path, fd: int, command: str, *, by: str = "") -> Lock:
    """The lock behind an inherited file descriptor, which no child of ours inherits in turn."""
    os.set_inheritable(fd, False)
    lock = Lock(directory, fd)
    lock.note(command, by=by)
    return lock


@contextmanager
def hold(directory: Path, command: str) -> Iterator[Lock]:
    """`acquire` for the length of a block."""
    lock = acquire(directory, command)
    try:
        yield lock
    finally:
        lock.release()


def holder(directory: Path) -> Holder | None:
    """Who holds the project, for messages; to find out for certain, acquire it."""
    known = _record(directory)
    return known if known and _lives(known.pid) else None


def held_by(directory: Path) -> Holder | None:
    """Who holds the project, for certain; does not get in the way of who wants it meanwhile."""
    known = holder(directory)
    if known is None:
        return None
    with suppress(FileNotFoundError):
        fd = file_lock.acquire(directory / LOCK_NAME)
        if fd is not None:  # a note of a process that was killed, whose number another has by now
            Lock(directory, fd).release()
            return None
    return known


def busy(directory: Path) -> BusyError:
    """The error for a project that somebody else holds."""
    deadline = time.monotonic() + _NOTE_SECONDS
    while not (known := _record(directory)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return BusyError(
        f"the project {directory.name} is busy",
        found=str(known or "another command that is just starting or ending"),
        next_step="wait for it to end, then run the command again",
        retryable=True,
    )


def remove(directory: Path) -> None:
    """Remove a held project's folder; the lock goes last, so that nobody begins in between."""
    for path in directory.iterdir() if directory.is_dir() else ():
        if path.name == LOCK_NAME:
            continue
        shutil.rmtree(path, ignore_errors=True)
        with suppress(OSError):
            path.unlink()
    with suppress(OSError):
        (directory / LOCK_NAME).unlink()
        directory.rmdir()


def _record(directory: Path) -> Holder | None:
    try:
        return Holder(**json.loads((directory / LOCK_NAME).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
