"""What the program may reach outside of its project, as the container is told. Values, no I/O."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from runner.sidecar.refused import Refused

ADDRESSES = "127.128.0.0/16"
"""The addresses that a program gets for names of hosts that it may reach."""

DENY = "deny"

PORTS = (443, 80)
"""What a host without a port means."""

MOST = 64

_NAME = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True)
class Host:
    """A host, the address that programs here have for it, and the ports that they may call."""

    name: str
    address: str
    ports: tuple[int, ...]


@dataclass(frozen=True)
class Network:
    """Addresses (CIDR) that are reached directly, at one port over TCP and UDP, or with 0 at all
    ports over everything."""

    cidr: str
    port: int


@dataclass(frozen=True)
class Egress:
    """All that may be reached; without any, nothing."""

    hosts: tuple[Host, ...] = ()
    networks: tuple[Network, ...] = ()

    @property
    def ports(self) -> tuple[int, ...]:
        """At which Envoy calls hosts."""
        return tuple(sorted({port for host in self.hosts for port in host.ports}))

    def with_known(self, known: Mapping[str, Collection[str]]) -> Egress:
        """Programs find these hosts without asking for their names: their addresses count, too.

        Args:
            known: IPv4 addresses by name, see `known`.
        """
        found = [
            Network(address, port)
            for host in self.hosts
            for address in known.get(host.name, ())
            for port in host.ports
        ]
        return replace(self, networks=(*self.networks, *found))


def read(text: str) -> Egress:
    """Check what `iac` wrote: ``deny``, or hosts and networks with commas between them.

    Raises:
        Refused: it is something else.
    """
    if text == DENY:
        return Egress()
    words = text.split(",")
    if len(words) > MOST:
        raise Refused(f"{len(words)} destinations, expected at most {MOST}")
    ports: dict[str, tuple[int, ...]] = {}
    networks = []
    for word in words:
        place, _, digits = word.partition(":")
        port = _port(word, digits)
        if _NAME.fullmatch(place) and len(place) <= 253:
            ports[place] = (*ports.get(place, ()), *((port,) if port else PORTS))
        else:
            networks.append(Network(_cidr(word, place), port))
    first = ipaddress.IPv4Network(ADDRESSES)
    hosts = (
        Host(name, str(first[number]), tuple(dict.fromkeys(ports[name])))
        for number, name in enumerate(sorted(ports), 1)
    )
    return Egress(tuple(hosts), tuple(networks))


def known(hosts_file: str) -> dict[str, list[str]]:
    """The IPv4 addresses by name of a text like /etc/hosts."""
    found: dict[str, list[str]] = {}
    for line in hosts_file.splitlines():
        address, *names = line.partition("#")[0].split() or [""]
        if re.fullmatch(r"[0-9.]+", address):
            for name in names:
                found.setdefault(name.lower(), []).append(address)
    return found


def _port(word: str, digits: str) -> int:
    if ":" not in word:
        return 0
    if not re.fullmatch("[1-9][0-9]{0,4}", digits) or int(digits) > 65535:
        raise Refused(f"{word!r} has no port from 1 to 65535")
    return int(digits)


def _cidr(word: str, place: str) -> str:
    try:
        return str(ipaddress.IPv4Network(place))
    except ValueError:
        raise Refused(f"{word!r} is neither a host name nor an IPv4 network") from None
