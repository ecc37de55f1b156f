"""A name server like the engine's, questions for it, and what PID 1 is told."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from runner.sidecar import dns, threads
from runner.sidecar.environment import SidecarEnvironment
from runner.sidecar.names import Names
from runner.sidecar.policy import Policy

GOOD = {
    "IAC_ROLE": "sidecar",
    "IAC_SUBNET": "172.20.0.0/16",
    "IAC_ENVOY_UID": "10101",
    "IAC_PROJECT": "shop",
    "IAC_SERVICE": "orders",
    "IAC_TRUST_DOMAIN": "iacnet-shop",
    "IAC_PORT": "8080",
    "IAC_POLICY": '{"callers":{"web":[]},"ingress":false,"services":["orders","web"]}',
}

GATEWAY = SidecarEnvironment("gateway", "172.20.0.0/16", 10101, "shop")

INGRESS = replace(GATEWAY, role="ingress", trust_domain="iacnet-shop", entrances=(8000, 8443))

SIDECAR = replace(GATEWAY, role="sidecar", service="orders", trust_domain="iacnet-shop", port=8080)
SIDECAR = replace(SIDECAR, policy=Policy({"web": ()}, services=("orders", "web")))

OPERATOR = replace(
    GATEWAY, role="operator", service="orders", trust_domain="iacnet-shop", local_port=8099
)

NAME = b"\x01b\x00"

HEADER = bytes.fromhex("123481800001000100000001")

ANSWER = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x02\x58\x00\x04\x0a\xd5\x07\x03"

EDNS = b"\x00\x00\x29\x04\xd0\x80\x00\x00\x00\x00\x00"

PACKET = HEADER + NAME + b"\x00\x01\x00\x01" + ANSWER + EDNS

OLD, NEW = b"\x0a\x00\x00\x01", b"\x0a\x00\x00\x02"


def query(name: str, kind: int = dns.A) -> bytes:
    labels = b"".join(bytes([len(each)]) + each.encode() for each in name.split("."))
    head = bytes.fromhex("beef01000001000000000001")
    return head + labels + b"\0" + kind.to_bytes(2, "big") + b"\0\1" + EDNS


class Upstream:
    """The engine's name server: answers what the test says, after a while if it says so."""

    def __init__(self) -> None:
        self.known: dict[str, list[bytes]] = {}
        self.silent: set[str] = set()
        self.asked: list[str] = []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            packet, client = self.socket.recvfrom(4096)
            asked = dns.question(packet)
            label = asked.label if asked else "?"
            self.asked.append(label)
            if asked and label not in self.silent:
                found = self.known.get(label, []) if asked.kind == dns.A else []
                self.socket.sendto(dns.answer(packet, asked, found, 600), client)
            elif label == "?":
                self.socket.sendto(PACKET, client)


@pytest.fixture
def upstream() -> Upstream:
    return Upstream()


@pytest.fixture
def client(upstream: Upstream) -> Iterator[socket.socket]:
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.bind(("127.0.0.1", 0))
    threads.keep(Names(listener, upstream.socket.getsockname(), "shop").step)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.connect(listener.getsockname())
        made.settimeout(5)
        yield made


def ask(client: socket.socket, name: str, kind: int = dns.A) -> bytes:
    client.send(query(name, kind))
    return client.recv(4096)
