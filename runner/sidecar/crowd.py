"""Who holds all the connections that an address may have: a line of the log, while it lasts.

Envoy and the firewall refuse by themselves; neither says whom.
"""

from __future__ import annotations

import socket
import struct
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from runner.listeners import MESH_PORTS
from runner.sidecar import limits, threads
from runner.sidecar.limits import Limits
from runner.sidecar.log import say

SECONDS = 10.0
"""Between two looks: one takes up to 5 ms, as the kernel walks the sockets of the whole machine."""

_TABLE = Path("/proc/net/tcp")
_ESTABLISHED = 1
"""TCP_ESTABLISHED of the kernel's net/tcp_states.h."""


def callers(ports: Iterable[int], table: Path = _TABLE) -> dict[int, Counter[str]]:
    """How many connections each address has to each of the `ports` of this network namespace.

    Args:
        table: the kernel's list of its TCP sockets (proc_net_tcp).
    """
    found = {port: Counter[str]() for port in ports}
    for row in table.read_text(encoding="ascii").splitlines()[1:]:
        _, local, remote, state, *_ = row.split()
        port = int(local.partition(":")[2], 16)
        if int(state, 16) == _ESTABLISHED and port in found:
            # The kernel prints an address as one number in the byte order of the machine.
            number = int(remote.partition(":")[0], 16)
            found[port][socket.inet_ntoa(struct.pack("=I", number))] += 1
    return found


def sentence(found: Counter[str], allowed: Limits) -> str | None:
    """What to say of whoever has most connections; None: there is room for everybody."""
    if not found:
        return None
    address, number = found.most_common(1)[0]
    if number < allowed.share and found.total() < allowed.connections:
        return None
    return (
        f"connections: {address} holds {number} of {found.total()};"
        f" at most {allowed.connections} are taken, {allowed.share} from one address"
    )


def own_sentence(number: int, allowed: Limits) -> str | None:
    """What to say of a program with so many connections to its own sidecar."""
    if number < allowed.own:
        return None
    return f"connections: the program holds {number}; at most {allowed.own} are taken from it"


def watch() -> None:
    """Look on a thread that ends with the process."""
    allowed = limits.of_container()
    inbound, outbound = MESH_PORTS["mtls"], MESH_PORTS["outbound"]

    def step() -> None:
        time.sleep(SECONDS)
        found = callers((inbound, outbound))
        for text in (
            sentence(found[inbound], allowed),
            own_sentence(found[outbound].total(), allowed),
        ):
            if text:
                say(text)

    threads.keep(step)
