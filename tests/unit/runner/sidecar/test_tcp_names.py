"""Names of services with TCP ports: what programs get for them, and Envoy does not."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from runner.sidecar import dns, names_over_tcp, tcp_names, threads
from runner.sidecar.names import Names
from runner.sidecar.offers import Offer
from runner.sidecar.tcp_names import TcpNames
from tests.unit.runner.sidecar.conftest import NEW, OLD, PACKET, Upstream, ask, query

OFFER = Offer((5432,), http=False)


class Peers:
    """What sidecars of other services say, and an Envoy that takes everything at once."""

    def __init__(self) -> None:
        self.offers: dict[str, Offer] = {}
        self.asked: list[str] = []
        self.takes = True
        self.names = TcpNames(self.ask, self.changed)

    def ask(self, name: str) -> Offer:
        self.asked.append(name)
        if name not in self.offers:
            raise OSError("not there")
        return self.offers[name]

    def changed(self) -> None:
        if self.takes:
            self.names.ready(self.names.peers)


@pytest.fixture
def peers() -> Peers:
    return Peers()


@pytest.fixture
def doors(upstream: Upstream, peers: Peers) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Where a program asks, and where Envoy does: at an address whose TCP ports nothing uses."""
    envoy, programs = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    for each in (envoy, programs):
        each.bind(("127.0.8.1", 0))
    server = upstream.socket.getsockname()
    threads.keep(Names(envoy, server, "shop", None, programs, peers.names).step)
    clients = []
    for each in (programs, envoy):
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        client.connect(each.getsockname())
        client.settimeout(6)
        clients.append(client)
    yield clients[0], clients[1]
    for each in clients:
        each.close()


def address(packet: bytes) -> str:
    (found,) = dns.records(packet, dns.A)
    return socket.inet_ntoa(found)


def test_a_program_gets_an_address_of_its_own_for_it_and_envoy_the_real_one(
    doors: tuple[socket.socket, socket.socket], upstream: Upstream, peers: Peers
) -> None:
    """The same for every question, in any case, short-lived as all; services without are theirs."""
    program, envoy = doors
    upstream.known = {"db": [OLD], "DB": [OLD], "db_tcp": [OLD], "web": [NEW]}
    peers.offers = {"db": OFFER}
    assert address(ask(program, "db")) == tcp_names.address("db", ())
    assert address(ask(program, "DB")) == tcp_names.address("db", ())
    assert dns.records(ask(envoy, "db"), dns.A) == [OLD]
    assert dns.records(ask(program, "web"), dns.A) == [NEW]
    assert ask(program, "db.example") == PACKET
    assert peers.asked == ["db"]


def test_it_has_no_ipv6_address_and_is_no_unknown_name(
    doors: tuple[socket.socket, socket.socket], upstream: Upstream, peers: Peers
) -> None:
    """NOERROR without a record, where NXDOMAIN would make resolvers give up on the name."""
    program, _ = doors
    upstream.known = {"db": [OLD], "db_tcp": [OLD]}
    peers.offers = {"db": OFFER}
    ask(program, "db")
    packet = ask(program, "db", dns.AAAA)
    assert (packet[3] & 15, dns.has_answer(packet)) == (0, False)


def test_a_service_that_just_starts_is_waited_for(
    doors: tuple[socket.socket, socket.socket], upstream: Upstream, peers: Peers
) -> None:
    """Its sidecar does not answer yet; other names are answered meanwhile."""
    program, _ = doors
    upstream.known = {"db": [OLD], "db_tcp": [OLD], "web": [NEW]}
    program.send(query("db"))
    assert dns.records(ask(program, "web"), dns.A) == [NEW]
    peers.offers = {"db": OFFER}
    assert address(program.recv(4096)) == tcp_names.address("db", ())


def test_one_that_envoy_does_not_know_in_time_is_a_failure_for_now(
    doors: tuple[socket.socket, socket.socket],
    upstream: Upstream,
    peers: Peers,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """SERVFAIL makes a resolver ask again; the real address would lead to the HTTP listener."""
    monkeypatch.setattr("runner.sidecar.names.PATIENCE_SECONDS", 0.2)
    program, _ = doors
    upstream.known = {"db": [OLD], "db_tcp": [OLD]}
    peers.takes, peers.offers = False, {"db": OFFER}
    packet = ask(program, "db")
    assert (packet[3] & 15, dns.has_answer(packet)) == (2, False)


def test_while_it_is_rolled_out_its_candidate_alone_is_enough(
    doors: tuple[socket.socket, socket.socket], upstream: Upstream, peers: Peers
) -> None:
    """The alias goes with the old container; what is known stays. Nothing at all is no address."""
    program, _ = doors
    upstream.known = {"db": [OLD], "db_tcp": [OLD]}
    peers.offers = {"db": OFFER}
    first = address(ask(program, "db"))
    upstream.known = {"shop-db-live": [NEW]}
    assert address(ask(program, "db")) == first
    upstream.known = {}
    assert not dns.has_answer(ask(program, "db"))


@pytest.mark.slow
def test_what_it_offers_is_asked_for_again(
    doors: tuple[socket.socket, socket.socket],
    upstream: Upstream,
    peers: Peers,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By the next question for the name; one that offers nothing any more has its real address."""
    monkeypatch.setattr(tcp_names, "FRESH_SECONDS", 0.0)
    program, _ = doors
    upstream.known = {"db": [OLD], "db_tcp": [OLD]}
    peers.offers = {"db": OFFER}
    ask(program, "db")
    peers.offers["db"] = Offer((5432, 6379), http=True)
    eventually(lambda: bool(ask(program, "db")) and peers.names.peers[0].offer.http)
    del upstream.known["db_tcp"]
    peers.offers["db"] = Offer()
    eventually(lambda: dns.records(ask(program, "db"), dns.A) == [OLD])


def test_a_known_service_keeps_its_address_while_it_is_asked_again(
    peers: Peers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One answer with the real address would lead a program to the HTTP listener, which waits."""
    monkeypatch.setattr(tcp_names, "FRESH_SECONDS", 0.0005)
    peers.offers = {"db": OFFER}
    peers.names.want("db")
    eventually(lambda: bool(peers.names.address("db")))
    seen: set[str | None] = set()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # threads take turns wherever they can
    try:
        while len(peers.asked) < 600:
            peers.names.want("db")
            seen.update(peers.names.address("db") for _ in range(50))
    finally:
        sys.setswitchinterval(interval)
    assert seen == {tcp_names.address("db", ())}


def test_two_names_never_have_one_address() -> None:
    """The second takes the next; all lie in 127.64.0.0/10, away from what programs use."""
    first = tcp_names.address("db", ())
    second = tcp_names.address("db", {first})
    assert first != second
    for each in (first, second):
        assert each.startswith("127.")
        assert 64 <= int(each.split(".")[1]) < 128


@pytest.mark.parametrize(
    ("label", "good"), [("db", True), ("db_tcp", False), ("a" * 59, True), ("a" * 60, False)]
)
def test_a_name_has_room_for_the_sign(label: str, *, good: bool) -> None:
    """A DNS label is at most 63 octets long."""
    assert tcp_names.is_name(label) is good


def test_names_are_answered_over_tcp_as_over_udp(
    doors: tuple[socket.socket, socket.socket], upstream: Upstream
) -> None:
    """Several on one connection; a name with dots is passed on over TCP, whatever is asked."""
    program, _ = doors
    upstream.known = {"web": [NEW]}
    behind = socket.create_server(("127.0.0.1", 0))

    def docker() -> None:
        connection, _ = behind.accept()
        assert names_over_tcp.receive(connection) == query("db.example", 16)
        names_over_tcp.send(connection, PACKET)

    threads.keep(docker)
    names = program.getpeername()
    names_over_tcp.serve(names, behind.getsockname())
    with socket.create_connection(names, 5) as client:
        for _ in range(2):
            names_over_tcp.send(client, query("web"))
            assert dns.records(names_over_tcp.receive(client), dns.A) == [NEW]
        names_over_tcp.send(client, query("db.example", 16))
        assert names_over_tcp.receive(client) == PACKET


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_slow_answer_for_its_candidate_changes_no_address(
    doors: tuple[socket.socket, socket.socket], upstream: Upstream, peers: Peers
) -> None:
    """A busy engine is late with any of the questions: the first for a name, and the next ones."""
    program, _ = doors
    upstream.known = {"db": [OLD], "db_tcp": [OLD]}
    upstream.silent = {"shop-db-live"}
    peers.offers = {"db": OFFER}
    for _ in range(2):
        assert address(ask(program, "db")) == tcp_names.address("db", ())


def test_no_address_is_guessed_while_nobody_says_whether_there_are_tcp_ports(
    doors: tuple[socket.socket, socket.socket],
    upstream: Upstream,
    peers: Peers,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """SERVFAIL again, once the time of a question is up; a resolver has gone on by then."""
    monkeypatch.setattr("runner.sidecar.names.QUERY_SECONDS", 0.5)
    program, _ = doors
    upstream.known = {"db": [OLD], "db_tcp": [OLD]}
    upstream.silent = {"db_tcp"}
    peers.offers = {"db": OFFER}
    packet = ask(program, "db")
    assert (packet[3] & 15, dns.has_answer(packet)) == (2, False)
