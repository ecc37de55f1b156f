"""How often the kernel killed for lack of memory in this container, from its cgroup."""

from __future__ import annotations

import re
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
