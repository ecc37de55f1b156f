"""The line about a name that nobody has."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from runner.sidecar import dns, threads, unanswered_names
from runner.sidecar.names import Names
from runner.sidecar.unanswered_names import UnansweredNames

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


@pytest.fixture
def told(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> Iterator[Told]:
    monkeypatch.setattr(unanswered_names, "AGAIN_SECONDS", 0.3)
    lines: list[str] = []
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
    ):
        listener.bind(("127.0.0.1", 0))
        client.connect(listener.getsockname())
        client.settimeout(5)
        asked = UnansweredNames("shop", lines.append)
        server = Names(listener, upstream.socket.getsockname(), "shop", asked)
        threads.keep(server.step)
        yield Told(client, lines)


@dataclass
class Told:
    """A client of a name server that tells of what nobody has, and what it told."""

    client: socket.socket
    lines: list[str]

    def after(self, *names: str, kind: int = dns.A) -> list[str]:
        for name in names:
            ask(self.client, name, kind)
        time.sleep(0.8)
        return self.lines


def test_a_name_that_nobody_has_is_told_once(told: Told) -> None:
    """With the project, whatever its letters; what no service can be called is not."""
    assert told.after("nosuch", "NoSuch", "_dmarc", "x" * 62 + "-")[0].startswith(
        "no service nosuch in project shop, and no other host of that name: `iac health"
    )
    assert len(told.after("nosuch")) == 1


def test_a_name_that_somebody_has_is_not_told(told: Told, upstream: Upstream) -> None:
    """A service without an IPv6 address; one that was there, or comes, while it is replaced; a
    short name that a search domain completes; a candidate."""
    upstream.known = {"b": [OLD], "was": [OLD], "shop-new-live": [NEW]}
    assert told.after("b", "was", "new") == []
    assert told.after("b", kind=dns.AAAA) == []
    del upstream.known["was"]
    assert told.after("was") == []
    ask(told.client, "comes")
    upstream.known["comes"] = [NEW]
    assert told.after("nas", "nas.lan") == []


def test_there_is_a_most_of_what_is_told() -> None:
    """A program may ask for names that it makes up."""
    lines: list[str] = []
    asked = UnansweredNames("shop", lines.append)
    for number in range(2 * unanswered_names.MOST):
        asked.missed(f"x{number}", b"", 0.0)
        for _ in asked.again(unanswered_names.AGAIN_SECONDS):
            asked.decided(f"x{number}")
    assert len(lines) == unanswered_names.MOST
