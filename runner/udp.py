"""Which UDP ports a program listens on: it may be a server, of a kind that nothing here proves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from runner import listeners
from runner.readiness_verdict import ReadinessVerdict

_NET = Path("/proc/net")
_UNCONNECTED = 7
"""TCP_CLOSE of the kernel's net/tcp_states.h: what a UDP socket without a peer is shown as."""


def ports(uid: int, wanted: int, *, net: Path = _NET) -> list[int]:
    """UDP ports that `uid` is bound to without a peer, sorted; none of the mesh's own.

    A client that never connects its socket looks the same, so a port of the range that the kernel
    gives to clients counts only if it is `wanted`.
    """
    found = set()
    for name in ("udp", "udp6"):
        try:
            rows = (net / name).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            _, local, _, state, _, _, _, owner, *_ = row.split()
            if int(state, 16) == _UNCONNECTED and int(owner) == uid:
                found.add(int(local.rpartition(":")[2], 16))
    found -= set(listeners.MESH_PORTS.values())
    given = listeners.client_ports()
    return sorted(port for port in found if port == wanted or port not in given)


def with_udp_hint(verdict: ReadinessVerdict, uid: int, wanted: int) -> ReadinessVerdict:
    """`verdict`; on a server that listens nowhere, with the UDP `ports` that it is found on."""
    found = ports(uid, wanted) if verdict.cause == "no-listener" else []
    if not found:
        return verdict
    where = f"port{'s' if len(found) > 1 else ''} {' and '.join(map(str, found))}"
    return replace(
        verdict,
        message=f"listens on UDP {where} only, where no request can reach it",
        cause="udp-only",
        next_step="write `run: worker` in its entry if it serves UDP only;"
        " between services HTTP and gRPC are carried",
    )
