"""Could the server on a port speak gRPC? Found out without a word that an HTTP/1 server would log.

It must not know health checks.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from pathlib import Path

from runner.listeners import inodes

PEEK_SECONDS = 0.1
"""How long a server has to speak first. Those made with gRPC's C library (Python, C++, Ruby, PHP)
send their SETTINGS as soon as they have accepted; Go's and HTTP/1 servers wait for the client."""

_SETTINGS = 4  # frame type, the fourth byte (RFC 9113, 4.1 and 6.5)


def may_speak_grpc(port: int) -> bool:
    """False only if whoever listens on 127.0.0.1:`port` cannot be a gRPC server.

    A server that keeps silent is judged by its process: one in Python without a gRPC library speaks
    something else; any other program may have its gRPC linked in.
    """
    first = _first_bytes(port)
    if first:
        return len(first) > 3 and first[3] == _SETTINGS
    listeners = _holders(inodes(port))
    return not listeners or any(_may_have_grpc(process) for process in listeners)


def _first_bytes(port: int) -> bytes:
    try:
        # From 127.0.0.2 for the reason that `readiness.accepts` gives.
        with socket.create_connection(("127.0.0.1", port), 1.0, ("127.0.0.2", 0)) as peek:
            peek.settimeout(PEEK_SECONDS)
            return peek.recv(9)
    except OSError:
        return b""


def _holders(sockets: set[int]) -> list[Path]:
    """Directories in /proc of the processes that have one of these sockets open."""
    wanted = {f"socket:[{inode}]" for inode in sockets}
    return [process for process in Path("/proc").glob("[0-9]*") if wanted & _open(process)]


def _open(process: Path) -> set[str]:
    found = set()
    with suppress(OSError):  # it ended, or belongs to somebody else
        for entry in (process / "fd").iterdir():
            with suppress(OSError):  # closed meanwhile
                found.add(str(entry.readlink()))
    return found


def _may_have_grpc(process: Path) -> bool:
    try:
        if not (process / "exe").readlink().name.startswith("python"):
            return True
        mapped = (process / "maps").read_text(errors="replace").splitlines()
    except OSError:
        return True
    return any("grpc" in line.rpartition("/")[2] for line in mapped)
