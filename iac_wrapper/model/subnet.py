"""Which range of addresses a project's network may have. Values, no I/O."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

_CANDIDATES = [
    [IPv4Network(f"{prefix}.{third}.0/24") for prefix in prefixes for third in range(256)]
    for prefixes in ([f"172.{n}" for n in range(21, 32)], [f"10.{n}" for n in range(201, 255)])
]
"""Where networks of other projects than the default one are placed: in RFC 1918's 172.16/12, where
Docker has its own as well; where that is full, high up in 10/8."""


@dataclass(frozen=True)
class InUse:
    """A range of addresses that something else has; `by` names it for people.

    `route` is True for a route of this machine: it takes only packets for which it is not less
    exact than the network's own.
    """

    subnet: IPv4Network
    by: str
    route: bool = False

    def overlaps(self, wanted: IPv4Network) -> bool:
        """Whether they have an address in common."""
        return self.subnet.overlaps(wanted)

    def takes_from(self, wanted: IPv4Network) -> bool:
        """Whether packets for a network with the range `wanted` would go astray."""
        less_exact = self.route and self.subnet.prefixlen < wanted.prefixlen
        return self.overlaps(wanted) and not less_exact


def free(used: Sequence[InUse], project: str) -> IPv4Network | None:
    """A candidate that overlaps nothing in `used`, else one from which nothing takes packets.

    The search starts at a place of the project's own, so that two first deploys at the same time
    do not choose the same one. None if all are taken.
    """
    ordered = [subnet for part in _CANDIDATES for subnet in _from_own_place(part, project)]
    for collides in (InUse.overlaps, InUse.takes_from):
        for candidate in ordered:
            if not any(collides(each, candidate) for each in used):
                return candidate
    return None


def _from_own_place(part: list[IPv4Network], project: str) -> list[IPv4Network]:
    start = zlib.crc32(project.encode()) % len(part)
    return part[start:] + part[:start]
