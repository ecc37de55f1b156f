"""How much one Envoy may hold: from the memory that its container has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")

_FILES = ("memory.max", "memory/memory.limit_in_bytes")
"""Where the limit in bytes stands: cgroup v2, cgroup v1."""

_MIB = 1 << 20

_UNLIMITED = 1 << 40
"""Bytes from which on a limit is none: cgroup v1 writes a number near 2**63."""

DEFAULT_BYTES = 256 * _MIB
"""Of a container whose kernel does not tell: what the constructs give a sidecar."""

_HEAP = 25 / 32
"""Envoy's part. The rest is for PID 1 (15 MB), the code that Envoy executes, and what the kernel
keeps for sockets: 200 of 256 MiB, 400 of 512."""

_IDLE_BYTES = 40 * _MIB
"""Of the heap, for what is there without connections: 14 MiB idle, more with clusters and
statistics of many peers."""

CONNECTION_BYTES = 128 * 1024
"""Of the most costly kind, measured with Envoy 1.40.0: 107 KiB for one of TCP that both ends write
to and neither reads from, 78 for HTTP/2 with a request that a program has not answered yet.
The rest is for what the allocator does not give back."""


@dataclass(frozen=True)
class Limits:
    """`heap` is in bytes; `connections` are those that others, or the program, open to this Envoy;
    `share` of them are for one address, `own` for the program's own calls."""

    heap: int
    connections: int

    @property
    def share(self) -> int:
        """Half: one caller alone leaves as many for all others."""
        return self.connections // 2

    @property
    def own(self) -> int:
        """Three quarters: whatever the program does, others and the control plane get in."""
        return self.connections * 3 // 4


def of_memory(size: int) -> Limits:
    """The limits of a container with `size` bytes."""
    heap = int(size * _HEAP)
    # Never so few that the control plane and some peers do not get in, whatever the container has.
    return Limits(heap, max(64, (heap - _IDLE_BYTES) // CONNECTION_BYTES))


def of_container(root: Path = CGROUP) -> Limits:
    """The limits of the container that this is."""
    for name in _FILES:
        try:
            text = (root / name).read_text(encoding="ascii").strip()
        except OSError:
            continue
        if text.isdecimal() and int(text) < _UNLIMITED:
            return of_memory(int(text))
    return of_memory(DEFAULT_BYTES)
