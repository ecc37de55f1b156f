"""The processes of this machine, by their parents."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


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
