"""DNS messages, byte by byte."""

from __future__ import annotations

from runner.sidecar import dns
from tests.unit.runner.sidecar.conftest import EDNS, NEW, OLD, PACKET, query


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
