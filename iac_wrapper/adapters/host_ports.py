"""TCP ports of this machine: whether one can be had, and who has it if not."""

from __future__ import annotations

import errno
import re
import socket
from contextlib import suppress
from pathlib import Path

from iac_wrapper.adapters.engine import Engine

_LISTEN = "0A"
"""TCP_LISTEN in the kernel's tables (net/tcp_states.h)."""


def is_free(address: str, port: int) -> bool:
    """Whether nothing listens there; True also if only root may ask."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            return error.errno != errno.EADDRINUSE
    return True


def owner(engine: Engine, port: int) -> str:
    """Who listens on `port`, as far as that can be known, in words."""
    listed = engine.call(lambda api: api.containers(filters={"publish": f"{port}/tcp"}))
    names = [item["Names"][0].lstrip("/") for item in listed if item.get("Names")]
    if names:
        return f"the container {', '.join(sorted(names))}"
    pid = _process(_inodes(port))
    if pid is None:
        return "another program"
    return f"the program {Path(f'/proc/{pid}/comm').read_text().strip()} (process {pid})"


def _inodes(port: int) -> set[str]:
    found = set()
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in Path("/proc/net", table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                    found.add(fields[9])
    return found


def _process(inodes: set[str]) -> int | None:
    """A process that has one of these sockets open; only root sees those of others."""
    for folder in Path("/proc").glob("[0-9]*/fd"):
        with suppress(OSError):
            for entry in folder.iterdir():
                match = re.fullmatch(r"socket:\[(\d+)\]", str(entry.readlink()))
                if match and match[1] in inodes:
                    return int(folder.parent.name)
    return None
