"""The processes of this machine, by their parents; and one that holds a project."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_HOLD = (
    "import sys; from pathlib import Path; from iac_wrapper.adapters import workspace_lock;"
    "held = workspace_lock.acquire(Path(sys.argv[1]), 'iac deploy'); print(flush=True); input()"
)


@contextmanager
def held_by_another(directory: Path) -> Iterator[None]:
    """Another process holds the project of `directory` for a deploy during the block."""
    argv = [sys.executable, "-c", _HOLD, str(directory)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout
        assert other.stdout.readline()
        try:
            yield
        finally:
            other.communicate(b"\n")


def with_children(pids: Iterable[int]) -> set[int]:
    """The processes and all that they, and theirs, have started."""
    found, new = set[int](), {*pids}
    while new:
        found |= new
        new = {child for pid in new for child in _children(pid)} - found
    return found


def command(pid: int) -> list[str]:
    """What it was started with; nothing of one that has ended."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    return []


def _children(pid: int) -> list[int]:
    with suppress(OSError):
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []
