"""The name server of the namespace: short-lived answers, and the candidate of a rollout."""

from __future__ import annotations

import select
import socket
import threading
import time

import pytest

from runner.sidecar import dns, names
from runner.sidecar.names import Names
from tests.unit.runner.sidecar.conftest import NEW, OLD, PACKET, Upstream, ask, query


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


def test_a_name_that_has_just_gone_is_waited_for(
    client: socket.socket, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service's containers are replaced: who asks then gets the new address, not "no such name".
    One that nobody ever had, or that does not come back in time, is told to be missing."""
    monkeypatch.setattr(names, "RETURN_SECONDS", 0.6)
    upstream.known = {"b": [OLD]}
    ask(client, "b")
    upstream.known = {}
    threading.Timer(0.3, lambda: upstream.known.update(b=[NEW])).start()
    assert dns.records(ask(client, "b"), dns.A) == [NEW]
    upstream.known = {}
    begin = time.monotonic()
    assert not dns.has_answer(ask(client, "never"))
    assert time.monotonic() - begin < 0.3
    assert not dns.has_answer(ask(client, "b"))
    assert 0.5 < time.monotonic() - begin < 2


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


def test_the_name_server_is_the_containers_own() -> None:
    """Docker's, unless resolv.conf names another IPv4 one."""
    assert names.nameserver("search x\nnameserver 10.1.2.3\nnameserver 10.9.9.9\n") == "10.1.2.3"
    assert names.nameserver("nameserver fe80::1\n") == "127.0.0.11"
