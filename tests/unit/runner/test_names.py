"""The name server of the namespace: short-lived answers, and the candidate of a rollout."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from runner.sidecar import dns, names, threads, unanswered_names
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


def ask(client: socket.socket, name: str, kind: int = dns.A) -> bytes:
    client.send(query(name, kind))
    return client.recv(4096)


def test_the_live_candidate_answers_for_the_service(
    client: socket.socket, upstream: Upstream
) -> None:
    """While it exists, under the name that was asked; before and after, the service itself."""
    upstream.known = {"b": [OLD]}
    assert dns.records(ask(client, "b"), dns.A) == [OLD]
    upstream.known["shop-b-live"] = [NEW]
    packet = ask(client, "b")
    assert dns.records(packet, dns.A) == [NEW]
    assert b"live" not in packet
    del upstream.known["b"]
    assert dns.records(ask(client, "b"), dns.A) == [NEW], "also when the service itself has gone"
    upstream.known = {"b": [OLD]}
    assert dns.records(ask(client, "b"), dns.A) == [OLD]


def test_answers_for_services_live_for_a_second(client: socket.socket, upstream: Upstream) -> None:
    """Docker's 600 s would keep a peer unreachable; other people's names keep theirs."""
    upstream.known = {"b": [OLD]}
    assert (1).to_bytes(4, "big") + b"\0\4" + OLD in ask(client, "b")
    assert ask(client, "db.example") == PACKET


def test_no_candidate_is_asked_for_where_there_can_be_none(
    client: socket.socket, upstream: Upstream
) -> None:
    """A container's short id, a name that would be too long, a name with a dot."""
    for name in ("0123456789ab", "b" * 60, "db.example"):
        ask(client, name)
    assert upstream.asked == ["0123456789ab", "b" * 60, "?"]
    ask(client, "b", dns.AAAA)
    assert sorted(upstream.asked[3:]) == ["b", "shop-b-live"]


def test_a_silent_server_holds_nobody_up(client: socket.socket, upstream: Upstream) -> None:
    """Neither a name that is never answered, nor a candidate's name."""
    upstream.silent = {"slow", "shop-b-live"}
    upstream.known = {"b": [OLD], "c": [NEW]}
    client.send(query("slow"))
    begin = time.monotonic()
    assert dns.records(ask(client, "c"), dns.A) == [NEW]
    assert dns.records(ask(client, "b"), dns.A) == [OLD]
    assert time.monotonic() - begin < names.QUERY_SECONDS / 2


@pytest.mark.parametrize("known", [["b"], ["shop-b-live"], ["b", "shop-b-live"]])
def test_answers_that_arrive_together_are_one_answer(upstream: Upstream, known: list[str]) -> None:
    """The service's and the candidate's, in whatever order they are looked at."""
    upstream.known = {name: [OLD] for name in known}
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
    ):
        listener.bind(("127.0.0.1", 0))
        server = Names(listener, upstream.socket.getsockname(), "shop")
        client.connect(listener.getsockname())
        client.settimeout(5)
        for _ in range(10):
            client.send(query("b"))
            server.step()
            time.sleep(0.02)  # so that both are there
            for _ in range(4):  # on a busy machine they still come one by one
                if not select.select([client], [], [], 0)[0]:
                    server.step()
            assert dns.records(client.recv(4096), dns.A) == [OLD]


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


def test_a_fault_is_a_line_and_not_the_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The next step is made after a pause."""
    monkeypatch.setattr(threads, "PAUSE_SECONDS", 0.0)
    again = threading.Event()
    steps = iter([lambda: 1 / 0, again.set])

    def step() -> None:
        next(steps, threading.Event().wait)()

    threads.keep(step)
    assert again.wait(5)
    assert "sidecar: ZeroDivisionError: division by zero" in capsys.readouterr().err


def test_the_name_server_is_the_containers_own() -> None:
    """Docker's, unless resolv.conf names another IPv4 one."""
    assert names.nameserver("search x\nnameserver 10.1.2.3\nnameserver 10.9.9.9\n") == "10.1.2.3"
    assert names.nameserver("nameserver fe80::1\n") == "127.0.0.11"
