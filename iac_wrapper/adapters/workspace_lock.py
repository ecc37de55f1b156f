"""One mutating command per project at a time; the lock names its holder."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from iac_wrapper.errors import BusyError


@contextmanager
def hold(directory: Path, command: str) -> Iterator[None]:
    """Hold the project whose folder is `directory` while the block runs.

    The kernel frees the lock when the process ends, however it ends, so nothing stale stays.

    Raises:
        BusyError: somebody else holds it; says who, what and since when.
    """
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o700)  # Terraform's state holds the values of `env:`
    path = directory / "workspace.lock"
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _busy(path) from None
        file.truncate(0)
        json.dump({"pid": os.getpid(), "command": command, "since": _now()}, file)
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def _busy(path: Path) -> BusyError:
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
        found = f"`{holder['command']}` (process {holder['pid']}) since {holder['since']}"
    except (OSError, ValueError, KeyError):
        found = "another command that is just starting or ending"
    return BusyError(
        f"the project {path.parent.name} is busy",
        found=found,
        next_step="wait for it to end, then run the command again",
        retryable=True,
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
