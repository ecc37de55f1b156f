"""Envoy's listeners and clusters, filled in for the TCP ports there are. Text in, text out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from string import Template
from textwrap import indent

from runner.sidecar.egress import Host
from runner.sidecar.offers import Offer

FILES = ("clusters.yaml", "listeners.yaml")
"""What Envoy watches, in the order in which it has to see them."""


@dataclass(frozen=True)
class Peer:
    """Another service: its name, the address that programs here have for it, what it offers."""

    name: str
    address: str
    offer: Offer


@dataclass(frozen=True)
class Tcp:
    """All that the files depend on.

    `own` maps the declared ports of this service to the address where its program listens;
    `callers` are those who may connect to them, as (port, name); `trust` stands for the
    authorities: with another one, chains are new and connections of old ones end. It is another
    one when an authority was removed. `hosts` are those outside that programs here may reach.
    """

    own: Mapping[int, str] = field(default_factory=dict)
    callers: tuple[tuple[int, str], ...] = ()
    peers: tuple[Peer, ...] = ()
    trust: str = ""
    hosts: tuple[Host, ...] = ()


def fill(documents: Mapping[str, str], tcp: Tcp, version: str = "0") -> dict[str, str]:
    """The files by name.

    Args:
        documents: those of Envoy's template, see `config`.
        version: what Envoy shall call them.
    """
    parts: dict[str, list[str]] = {
        name: []
        for name in ("own_matchers", "own_chains", "own_clusters", "peer_chains", "peer_clusters")
    }

    def add(part: str, piece: str, **values: object) -> None:
        text = Template(documents[piece]).substitute(values, trust=tcp.trust)
        parts[part].append(text.strip("\n"))

    for port, name in tcp.callers:
        add("own_matchers", "own-matcher.yaml", port=port, name=name)
        add("own_chains", "own-chain.yaml", port=port, name=name)
    for port, listens_on in tcp.own.items():
        add("own_matchers", "own-rest-matcher.yaml", port=port)
        add("own_chains", "own-rest-chain.yaml", port=port)
        add("own_clusters", "own-cluster.yaml", port=port, host=listens_on)
    ports = {port for peer in tcp.peers for port in peer.offer.ports}
    ports |= {port for host in tcp.hosts for port in host.ports}

    def add_rest(piece: str, own: tuple[int, ...], **values: object) -> None:
        """Where some chain names a port, Envoy does not look at those that name none."""
        add("peer_chains", piece, rest="", at="", **values)
        for port in sorted(ports.difference(own)):
            at = f", destination_port: {port}"
            add("peer_chains", piece, rest=f":{port}-rest", at=at, **values)

    for peer in tcp.peers:
        called = {"name": peer.name, "address": peer.address}
        for port in peer.offer.ports:
            add("peer_chains", "peer-chain.yaml", port=port, **called)
            add("peer_clusters", "peer-cluster.yaml", port=port, **called)
        rest = "peer-http.yaml" if peer.offer.http else "peer-rest.yaml"
        add_rest(rest, peer.offer.ports, **called)
    for host in tcp.hosts:
        called = {"name": host.name, "address": host.address}
        for port in host.ports:
            add("peer_chains", "host-chain.yaml", port=port, **called)
            add("peer_clusters", "host-cluster.yaml", port=port, **called)
        add_rest("host-rest.yaml", host.ports, **called)

    def put(place: re.Match[str]) -> str:
        return indent("\n".join(parts[place[2]]), place[1])

    def complete(document: str) -> str:
        text = re.sub(r"^( *)\$\{([a-z]+_[a-z]+)\}$", put, document, flags=re.M)
        return Template(text).substitute(trust=tcp.trust, version=version)

    return {name: complete(documents[name]) for name in FILES if name in documents}
