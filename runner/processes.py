"""Which processes there are in this container, whose children, and with which sockets.

Read from /proc. It must not know the program's state or its ports.
"""

from __future__ import annotations

from collections.abc import Set
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")


def children(parent: int) -> list[int]:
    """Living processes whose parent is `parent`: for PID 1, orphans included."""
    return sorted(pid for pid, above in _parents().items() if above == parent)


def name(pid: int) -> str:
    """What the kernel calls it (at most 15 characters); empty when it has gone."""
    with suppress(OSError):
        return (PROC / str(pid) / "comm").read_text(errors="replace").strip()
    return ""


def holders(sockets: Set[int]) -> list[Path]:
    """Directories in /proc of the processes that have one of these sockets (inodes) open."""
    return [process for process in PROC.glob("[0-9]*") if sockets & (_sockets(process) or set())]


def may_have_grpc(sockets: Set[int]) -> bool:
    """Whether one of the processes that have these sockets open may speak gRPC: it is no Python, or
    one with a gRPC library."""
    found = holders(sockets)
    return not found or any(map(_may_have_grpc, found))


def held_below(root: int, sockets: Set[int]) -> set[int]:
    """Those of `sockets` that processes of the tree below `root` have open, as far as one can see.

    A program may hide what it has open (PR_SET_DUMPABLE): then what nobody else has is its own.
    """
    parents = _parents()
    inside: set[int] = set()
    outside: set[int] = set()
    hides = False
    for pid in parents:
        below = _below(root, pid, parents)
        held = _sockets(PROC / str(pid))
        hides |= below and held is None and pid != root
        (inside if below else outside).update(sockets & (held or set()))
    return inside | (sockets - outside if hides else set())


def _may_have_grpc(process: Path) -> bool:
    try:
        if not (process / "exe").readlink().name.startswith("python"):
            return True
        mapped = (process / "maps").read_text(errors="replace").splitlines()
    except OSError:
        return True
    return any("grpc" in line.rpartition("/")[2] for line in mapped)


def _below(root: int, pid: int, parents: dict[int, int]) -> bool:
    while pid != root and pid in parents:
        pid = parents[pid]
    return pid == root


def _parents() -> dict[int, int]:
    """Parent by process id, without those that have ended and wait to be reaped."""
    found = {}
    for stat in PROC.glob("[0-9]*/stat"):
        with suppress(OSError, ValueError):
            # "pid (name) state ppid …"; the name may hold spaces and parentheses.
            state, parent, *_ = stat.read_text(errors="replace").rpartition(")")[2].split()
            if state not in "ZX":
                found[int(stat.parent.name)] = int(parent)
    return found


def _sockets(process: Path) -> set[int] | None:
    """Inodes of its sockets: none when it has gone, None when it hides them."""
    try:
        entries = list((process / "fd").iterdir())
    except PermissionError:
        return None
    except OSError:
        return set()
    found = set()
    for entry in entries:
        with suppress(OSError):  # closed meanwhile
            kind, _, inode = str(entry.readlink()).partition(":[")
            if kind == "socket":
                found.add(int(inode[:-1]))
    return found
