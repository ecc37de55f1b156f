"""Which TCP sockets listen in this network namespace: the hint when the expected one does not."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterable
from pathlib import Path

_LISTEN = "0A"
_DOCKER_DNS = "127.0.0.11"


def listening(*, without: Iterable[int] = (), proc: Path = Path("/proc/net")) -> list[str]:
    """Addresses as ``host:port``, sorted by port, without those ports and Docker's resolver."""
    hidden = set(without)
    found = {
        (port, host)
        for name in ("tcp", "tcp6")
        for host, port, _ in _sockets(proc / name)
        if port not in hidden and host != _DOCKER_DNS
    }
    return [f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for port, host in sorted(found)]


def inodes(port: int, *, proc: Path = Path("/proc/net")) -> set[int]:
    """The inodes of the sockets that listen on `port`, whatever their address."""
    tables = (_sockets(proc / name) for name in ("tcp", "tcp6"))
    return {inode for table in tables for _, at, inode in table if at == port}


def _sockets(table: Path) -> Iterable[tuple[str, int, int]]:
    try:
        rows = table.read_text(encoding="ascii").splitlines()[1:]
    except OSError:
        return
    for row in rows:
        _, local, _, state, *rest = row.split()
        if state == _LISTEN:
            address, port = local.split(":")
            yield _host(address), int(port, 16), int(rest[5])


def _host(address: str) -> str:
    """The kernel prints addresses as 32-bit words in the byte order of the machine."""
    words = [int(address[i : i + 8], 16) for i in range(0, len(address), 8)]
    packed = struct.pack(f"={len(words)}I", *words)
    return str(ipaddress.ip_address(packed))
