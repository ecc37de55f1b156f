"""The IPv4 routes of this machine: which addresses already lead somewhere, a VPN for instance."""

from __future__ import annotations

import ipaddress
import json
import socket
import struct
from dataclasses import dataclass
from pathlib import Path

from iac_wrapper.adapters import process
from iac_wrapper.adapters.process import Command
from iac_wrapper.errors import CommandError

_TABLE = Path("/proc/net/route")
_NOT_ELSEWHERE = ("local", "broadcast", "multicast", "anycast")
_EVERYWHERE = 8
"""Prefixes shorter than this are default routes, also in parts (a VPN's 0.0.0.0/1)."""


@dataclass(frozen=True)
class Route:
    """Packets for `subnet` leave by `device`, empty for a route that drops them."""

    subnet: ipaddress.IPv4Network
    device: str


def read_routes() -> list[Route]:
    """Every route but default ones and this machine's own addresses.

    All tables that policy rules may choose where ``ip`` is installed, else the kernel's main one;
    none on a system that has neither.
    """
    try:
        done = process.run(Command(("ip", "-json", "-4", "route", "show", "table", "all")))
        found = parse_json(done.stdout) if done.returncode == 0 else None
    except CommandError:
        found = None
    if found is None:
        found = parse_table(_TABLE.read_text()) if _TABLE.exists() else []
    return [route for route in found if route.subnet.prefixlen >= _EVERYWHERE]


def parse_json(text: str) -> list[Route] | None:
    """The output of ``ip -json route``; None if it is something else."""
    try:
        return [
            Route(ipaddress.IPv4Network(item["dst"]), item.get("dev", ""))
            for item in json.loads(text or "[]")
            if item["dst"] != "default" and item.get("type") not in _NOT_ELSEWHERE
        ]
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def parse_table(text: str) -> list[Route]:
    """The kernel's ``/proc/net/route``: hexadecimal, in the machine's byte order."""
    rows = [line.split() for line in text.splitlines()[1:]]
    return [Route(_network(row[1], row[7]), row[0]) for row in rows if len(row) > 7]


def _network(address: str, mask: str) -> ipaddress.IPv4Network:
    first, size = (socket.inet_ntoa(struct.pack("=I", int(each, 16))) for each in (address, mask))
    return ipaddress.IPv4Network(f"{first}/{size}")
