"""The line about a name that nobody has."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from runner.sidecar import dns, threads, unanswered_names
from runner.sidecar.names import Names
from runner.sidecar.unanswered_names import UnansweredNames
from tests.unit.runner.sidecar.conftest import NEW, OLD, Upstream, ask


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


@pytest.mark.slow
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
