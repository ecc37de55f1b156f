"""What may be reached outside: as it is told, as rules, as names, and as lines of the log."""

from __future__ import annotations

import socket
import struct
from dataclasses import replace

import pytest

from iac_wrapper.model import egress as model
from iac_wrapper.model.key import Misfit
from runner.sidecar import (
    dns,
    egress,
    environment,
    firewall,
    outside_names,
    refused_packets,
    threads,
)
from runner.sidecar.egress import Egress, Host, Network
from runner.sidecar.names import Names
from runner.sidecar.outside_names import OutsideNames, RefusedAttempts
from runner.sidecar.refused import Refused
from runner.sidecar.tcp_names import TcpNames
from tests.unit.runner.sidecar.conftest import GOOD, PACKET, SIDECAR, Upstream, ask

LISTED = "b.example.com:5432,a.example.com,10.0.0.0/8,10.1.2.3:53"


def test_both_sides_of_the_wall_read_the_same() -> None:
    """Names have addresses by their order; a port or two; networks as they are."""
    found = egress.read(LISTED)
    assert found.hosts == (
        Host("a.example.com", "127.128.0.1", (443, 80)),
        Host("b.example.com", "127.128.0.2", (5432,)),
    )
    assert found.networks == (Network("10.0.0.0/8", 0), Network("10.1.2.3/32", 53))
    assert egress.read("deny") == Egress()
    assert (model.DENY, model.PORTS, model.MOST) == (egress.DENY, egress.PORTS, egress.MOST)
    assert environment.read_environment(GOOD).egress is None
    assert environment.read_environment({**GOOD, model.VARIABLE: "deny"}).egress == Egress()


_LABEL = "a" * 63
_LONGEST = f"{_LABEL}.{_LABEL}.{_LABEL}.{'a' * 59}.b"


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        *[(name, True) for name in ("a.b", "a-b.c--d.xn--e", "1.2a.b3", f"{_LABEL}.b", _LONGEST)],
        *[(name, False) for name in ("a", "b.1", "1.2.3", "-a.b", "a-.b", "a.b-", "a..b", ".a.b")],
        *[(name, False) for name in ("a.b.", "A.b", "a_b.c", "*.b", "a b.c", "a.b\n", " a.b")],
        *[(name, False) for name in ("\u00e4.b", "\u0663.b", "a.\uff42", f"a{_LABEL}.b")],
        *[(name, False) for name in (f"a{_LONGEST}", f"b.{_LABEL}a", "a.b:0", "a.b:65536", "a.b:")],
    ],
)
def test_both_sides_of_the_wall_know_the_same_host_names(name: str, is_one: bool) -> None:
    """Neither may import the other: what the key takes, the sidecar takes, and nothing more."""
    try:
        written = model.destinations().read(name) == (name,)
    except Misfit:
        written = False
    try:
        told = [host.name for host in egress.read(name).hosts] == [name]
    except Refused:
        told = False
    assert (written, told) == (is_one, is_one)


@pytest.mark.parametrize("text", ["a", "a.example.com:0", "10.0.0.1/8", "a.example.com,", "a.b\n"])
def test_anything_else_is_refused(text: str) -> None:
    """With the variable's name."""
    with pytest.raises(Refused, match=model.VARIABLE):
        environment.read_environment({**GOOD, model.VARIABLE: text})


def test_a_host_of_the_hosts_file_is_reached_by_its_address() -> None:
    """Programs do not ask for it."""
    known = egress.known("127.0.0.1 localhost\n172.17.0.1\thost.docker.internal x # y\n::1 z\n\n")
    assert known == {
        "localhost": ["127.0.0.1"],
        "host.docker.internal": ["172.17.0.1"],
        "x": ["172.17.0.1"],
    }
    found = egress.read("host.docker.internal:5432").with_known(known)
    assert found.networks == (Network("172.17.0.1", 5432),)


def test_nothing_but_what_is_listed_leaves() -> None:
    """Envoy for hosts, everybody for addresses, the engine for names; then all is refused."""
    rules = firewall.filter_rules(replace(SIDECAR, egress=egress.read(LISTED)), told=True)
    lines = [line.removeprefix("-A OUTPUT ") for line in rules.splitlines() if "OUTPUT" in line]
    own = "-m owner --uid-owner 10101"
    assert lines[:2] == [":OUTPUT DROP", "-d 127.0.0.11 -m owner ! --uid-owner 10101 -j REJECT"]
    assert lines[5:] == [
        *(f"{own} -p tcp ! -d 172.20.0.0/16 --dport {port} -j ACCEPT" for port in (80, 443, 5432)),
        f"{own} -j DROP",
        "-d 172.20.0.0/16 -j DROP",
        "-d 127.0.0.0/8 -j ACCEPT",
        "-m owner --uid-owner 0 --gid-owner 0 -p udp --dport 53 -j ACCEPT",
        "-m owner --uid-owner 0 --gid-owner 0 -p tcp --dport 53 -j ACCEPT",
        "-d 10.0.0.0/8 -j ACCEPT",
        "-d 10.1.2.3/32 -p tcp --dport 53 -j ACCEPT",
        "-d 10.1.2.3/32 -p udp --dport 53 -j ACCEPT",
        "-m limit --limit 20/second --limit-burst 50 -j NFLOG --nflog-group 1",
        "-p tcp -j REJECT --reject-with tcp-reset",
        "-j REJECT --reject-with icmp-admin-prohibited",
    ]
    denied = firewall.filter_rules(replace(SIDECAR, egress=Egress()))
    assert [line for line in denied.splitlines() if "OUTPUT" in line and "ACCEPT" in line] == [
        "-A OUTPUT -o lo -j ACCEPT",
        "-A OUTPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
        f"-A OUTPUT {own} -p tcp -d 172.20.0.0/16 --dport 15000 -j ACCEPT",
        "-A OUTPUT -d 127.0.0.0/8 -j ACCEPT",
    ]
    assert egress.ADDRESSES in firewall.nat_rules(replace(SIDECAR, egress=Egress()), "")
    assert egress.ADDRESSES not in firewall.nat_rules(SIDECAR, "")


def test_only_names_that_are_listed_have_an_answer(upstream: Upstream) -> None:
    """A program's is an address of ours, once Envoy takes connections; Envoy gets the engine's
    answer. Nobody else's name gets as far as the engine."""
    told: list[str] = []
    tcp = TcpNames(lambda _: pytest.fail("no service is asked"), lambda: None)
    outside = OutsideNames(egress.read(LISTED), RefusedAttempts("web", told.append))
    doors = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
    for door in doors:
        door.bind(("127.0.0.1", 0))
    names = Names(doors[0], upstream.socket.getsockname(), "shop", None, doors[1], tcp, outside)
    threads.keep(names.step)
    envoy, program = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    for client, door in ((envoy, doors[0]), (program, doors[1])):
        client.connect(door.getsockname())
        client.settimeout(0.3)
    with pytest.raises(TimeoutError):
        ask(program, "a.example.com")
    tcp.ready([])
    program.settimeout(5)
    assert dns.records(program.recv(500), dns.A) == [socket.inet_aton("127.128.0.1")]
    assert dns.records(ask(program, "A.Example.com"), dns.A) == [socket.inet_aton("127.128.0.1")]
    empty = ask(program, "a.example.com", dns.AAAA)
    assert (empty[3] & 15, dns.has_answer(empty)) == (0, False)
    for name in ("secret.example.com", "secret.example.com", "1.0.0.10.in-addr.arpa"):
        assert ask(program, name)[3] & 15 == 3
    text = ask(program, "a" * 60, 16)
    assert (text[3] & 15, dns.has_answer(text)) == (0, False)
    assert upstream.asked == []
    assert ask(envoy, "a.example.com") == PACKET
    assert ask(envoy, "other.example.com")[3] & 15 == 3
    assert upstream.asked == ["?"]
    assert [line.split(" was refused")[0] for line in told] == [
        "the name secret.example.com",
        "the name other.example.com",
    ]


def test_a_name_with_a_dot_in_a_label_is_nobodys() -> None:
    """The engine would take it for a name of two labels."""
    dotted = bytes(4) + b"\0\1" + bytes(6) + b"\3a.b\0\0\1\0\1"
    assert dns.question(dotted)
    assert not dns.is_plain(dotted)
    assert dns.whole_question(dotted) is None
    cut = bytes(4) + b"\0\1" + bytes(6) + b"\3a"
    assert dns.whole_question(cut) is None


def test_a_refusal_is_told_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of so many names and addresses at most."""
    now, told = [100.0], list[str]()
    monkeypatch.setattr("runner.sidecar.outside_names.time.monotonic", lambda: now[0])
    refused = RefusedAttempts("web", told.append)
    for _ in range(3):
        refused.add("TCP to 10.0.0.1:80")
    now[0] += outside_names.EVERY_SECONDS
    refused.add("TCP to 10.0.0.1:80")
    assert len(told) == 2
    for number in range(1000):
        refused.add(str(number))
    assert len(told) == outside_names.MOST + 1


def test_what_the_kernel_tells_is_read() -> None:
    """Several packets in a datagram, other attributes before the packet, and nonsense."""

    def attribute(kind: int, value: bytes) -> bytes:
        return (struct.pack("=HH", 4 + len(value), kind) + value).ljust(4 + (len(value) + 3 & ~3))

    def message(packet: bytes, kind: int = 0x400) -> bytes:
        body = bytes(4) + attribute(10, b"x\0") + attribute(9, packet)
        return struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body

    head = b"\x45" + bytes(8)
    tcp = head + b"\x06" + bytes(6) + bytes([10, 0, 0, 1]) + struct.pack("!HH", 1234, 443)
    ping = head + b"\x01" + bytes(6) + bytes([10, 0, 0, 2]) + bytes(4)
    found = list(refused_packets.packets(message(tcp) + message(b"", 2) + message(ping)))
    assert [refused_packets.destination(each) for each in found] == [
        "TCP to 10.0.0.1:443",
        "ICMP to 10.0.0.2",
    ]
    assert refused_packets.destination(b"\x60" + bytes(40)) == ""
    for size in range(len(tcp)):
        refused_packets.destination(tcp[:size])
    for size in range(len(message(tcp))):
        list(refused_packets.packets(message(tcp)[:size]))
