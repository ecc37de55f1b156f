"""What a service says of its TCP ports."""

from __future__ import annotations

import http.server
import socket
from collections.abc import Iterator

import pytest

from runner.sidecar import offers
from runner.sidecar.offers import Offer
from tests.support.running import running


class Sidecar(http.server.BaseHTTPRequestHandler):
    """Answers for the service in the Host line."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        texts = {"db": "5432 6379 ", "both": "5432 http", "web": "", "program": "<html>"}
        known = texts.get(self.headers["Host"])
        self.send_response(200 if self.path == offers.PATH and known is not None else 503)
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write((known or "").encode())

    def log_message(self, *_: object) -> None:
        """No lines in the test's output."""


@pytest.fixture
def envoy() -> Iterator[tuple[str, int]]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sidecar)
    with running(server):
        yield "127.0.0.1", server.server_address[1]


@pytest.mark.parametrize(
    "offer", [Offer((5432, 6379), http=False), Offer((5432,)), Offer((), True)]
)
def test_an_offer_is_read_as_what_was_written(offer: Offer) -> None:
    """Numbers, and a word if other ports are for HTTP."""
    assert offers.read(str(offer)) == offer


@pytest.mark.parametrize("text", ["<html>", "5432", "0 ", "65536 ", "http http", " ", "-1 "])
def test_other_text_is_none(text: str) -> None:
    """That of a program, where an older sidecar passes the question on."""
    assert offers.read(text) is None


def test_a_peer_is_asked_through_envoy(envoy: tuple[str, int]) -> None:
    """By name; one that is not there, or says something else, is an error."""
    assert offers.ask("db", envoy) == Offer((5432, 6379), http=False)
    assert offers.ask("both", envoy) == Offer((5432,), http=True)
    assert offers.ask("web", envoy) == Offer((), http=False)
    for name in ("program", "nobody"):
        with pytest.raises(OSError, match=name):
            offers.ask(name, envoy)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = closed.getsockname()[:2]
    with pytest.raises(ConnectionRefusedError):
        offers.ask("db", address)
