"""DNS messages, byte by byte."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from runner.sidecar import dns, threads
from runner.sidecar.names import Names

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


def test_the_ttl_of_an_answer_is_lowered_and_nothing_else() -> None:
    """Docker's 600 s become 1 s; the EDNS record keeps the flags that lie where a TTL would."""
    clamped = dns.clamp_ttl(PACKET, 1)
    assert clamped == PACKET.replace(b"\x00\x00\x02\x58", b"\x00\x00\x00\x01")
    assert dns.clamp_ttl(clamped, 5) == clamped


def test_malformed_answers_pass_unchanged() -> None:
    """Cut off anywhere, or with more behind it than it says."""
    for end in range(len(PACKET)):
        assert dns.clamp_ttl(PACKET[:end], 1) == PACKET[:end]
        assert dns.records(PACKET[:end], dns.A) == []
    assert dns.clamp_ttl(PACKET + b"x", 1) == PACKET + b"x"


def test_a_question_for_one_label_is_read_and_asked_for_another() -> None:
    """Whatever follows the question stays; other questions are left alone."""
    asked = dns.question(query("svc-b"))
    assert asked is not None
    assert (asked.label, asked.kind) == ("svc-b", dns.A)
    assert dns.ask_for("x", query("svc-b"), asked) == query("x")
    for end in range(len(query("b")) - len(EDNS)):
        assert dns.question(query("b")[:end]) is None
    assert dns.question(query("b.example")) is None
    assert dns.question(PACKET) is None, "an answer"


def test_an_answer_names_what_was_asked() -> None:
    """Question and id are the client's; the records follow it."""
    asked = dns.question(query("b"))
    assert asked is not None
    packet = dns.answer(query("b"), asked, [OLD, NEW], 1)
    assert packet[:4] == bytes.fromhex("beef8180")
    assert dns.records(packet, dns.A) == [OLD, NEW]
    assert packet[12 : asked.end] == query("b")[12 : asked.end]


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
