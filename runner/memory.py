"""How often the kernel killed for lack of memory in this container, from its cgroup."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")

_FILES = ("memory.events", "memory/memory.oom_control")
"""Where the count `oom_kill` stands: cgroup v2, cgroup v1 (Linux 4.13 and later)."""


def oom_kills(root: Path = CGROUP) -> int:
    """The count so far; 0 where the kernel does not tell."""
    for name in _FILES:
        try:
            text = (root / name).read_text(encoding="ascii", errors="replace")
        except OSError:
            continue
        found = re.search(r"^oom_kill (\d+)$", text, re.MULTILINE)
        if found:
            return int(found[1])
    return 0


RECENT_SECONDS = 5.0
"""A program that fails so soon after one of its processes was killed fails for that."""


class KernelKills:
    """The processes of one start of the program that the kernel killed for lack of memory.

    Args:
        count: the count of the container so far.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        count: Callable[[], int] = oom_kills,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._count = count
        self._clock = clock
        self.started()

    def started(self) -> None:
        """The program is about to be started: what was killed before is not counted."""
        self._before = self._count()
        self.killed = 0
        self._seen = 0.0

    def look(self) -> bool:
        """Bring `killed` up to date; returns whether there are new ones."""
        killed = self._count() - self._before
        new = killed > self.killed
        if new:
            self.killed, self._seen = killed, self._clock()
        return new

    @property
    def recent(self) -> bool:
        """Whether the last look that found a new one was RECENT_SECONDS ago at most."""
        return bool(self.killed) and self._clock() - self._seen <= RECENT_SECONDS
