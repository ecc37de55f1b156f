"""DNS messages, as far as names of services need them (RFC 1035, 4). Bytes in, bytes out."""

from __future__ import annotations

from dataclasses import dataclass

from runner.listeners import PROGRAMS

A, AAAA = 1, 28
_SERVFAIL, _NXDOMAIN = 2, 3
_OPT = b"\x00\x29"
_NAME_OF_THE_QUESTION = b"\xc0\x0c"


@dataclass(frozen=True)
class DnsQuestion:
    """The question of a query for a name of one label; `end` is the offset behind it."""

    label: str
    kind: int
    end: int


def source(server: str) -> str:
    """The address from which PID 1 asks a name server: not the one that programs ask from.

    The kernel sends what comes from an address and port the way of what came from there before,
    for 30 s over UDP, and does not look at its owner again: a program that was given a port which
    PID 1 had used would get the engine's answer, and PID 1 its own.
    """
    return PROGRAMS if server.startswith("127.") else ""


def question(query: bytes) -> DnsQuestion | None:
    """What is asked, if that is one plain question for a name of one label."""
    if len(query) < 12 or query[2] & 0xF8 or query[4:6] != b"\x00\x01":
        return None
    length = query[12] if len(query) > 12 else 0
    end = 12 + 1 + length + 1 + 4
    if not 0 < length < 64 or len(query) < end or query[end - 5]:
        return None
    label = query[13 : 13 + length].decode("latin-1")
    return DnsQuestion(label, int.from_bytes(query[end - 4 : end - 2], "big"), end)


def whole_question(query: bytes) -> DnsQuestion | None:
    """What is asked, if that is one plain question; the labels have dots between them.

    None as well if a label itself has a dot: nobody could tell such a name from another one.
    """
    if len(query) < 12 or query[2] & 0xF8 or query[4:6] != b"\x00\x01":
        return None
    labels, at = [], 12
    while at < len(query) and 0 < query[at] < 64:
        labels.append(query[at + 1 : at + 1 + query[at]].decode("latin-1"))
        at += 1 + query[at]
    end = at + 5
    if len(query) < end or query[at] or any("." in each for each in labels):
        return None
    return DnsQuestion(".".join(labels), int.from_bytes(query[at + 1 : at + 3], "big"), end)


def is_plain(query: bytes) -> bool:
    """Whether one label is asked for, without a dot in it."""
    found = question(query)
    return found is not None and "." not in found.label


def first_label(query: bytes) -> str:
    """The first label of the name that is asked for; empty if the query is malformed."""
    length = query[12] if len(query) > 12 else 0
    label = query[13 : 13 + length]
    return label.decode("latin-1") if len(label) == length < 64 else ""


def has_answer(packet: bytes) -> bool:
    """Whether there is a record among the answers."""
    return len(packet) >= 12 and packet[6:8] != b"\0\0"


def ask_for(label: str, query: bytes, asked: DnsQuestion) -> bytes:
    """`query` with another name in its question."""
    name = bytes([len(label)]) + label.encode("latin-1") + b"\0"
    return query[:12] + name + query[asked.end - 4 :]


def answer(query: bytes, asked: DnsQuestion, records: list[bytes], ttl: int) -> bytes:
    """The answer to `query`: addresses (the records' data) that live for `ttl` seconds."""
    flags = bytes([0x80 | (query[2] & 0x01), 0x80])
    counts = b"".join(n.to_bytes(2, "big") for n in (1, len(records), 0, 0))
    head = _NAME_OF_THE_QUESTION + asked.kind.to_bytes(2, "big") + b"\x00\x01"
    body = b"".join(
        head + ttl.to_bytes(4, "big") + len(data).to_bytes(2, "big") + data for data in records
    )
    return query[:2] + flags + counts + query[12 : asked.end] + body


def failure(query: bytes, asked: DnsQuestion) -> bytes:
    """That `query` has no answer now, and may have one soon."""
    return _without(query, asked, _SERVFAIL)


def no_such_name(query: bytes, asked: DnsQuestion) -> bytes:
    """That nobody has the name of `query`."""
    return _without(query, asked, _NXDOMAIN)


def _without(query: bytes, asked: DnsQuestion, code: int) -> bytes:
    packet = answer(query, asked, [], 0)
    return packet[:3] + bytes([packet[3] | code]) + packet[4:]


def records(packet: bytes, kind: int) -> list[bytes]:
    """The data of the records of one kind among the answers; none if the packet is malformed."""
    answers = int.from_bytes(packet[6:8], "big")
    found = _sections(packet)
    return [
        packet[at + 10 : at + 10 + int.from_bytes(packet[at + 8 : at + 10], "big")]
        for at in found[:answers]
        if packet[at : at + 2] == kind.to_bytes(2, "big")
    ]


def clamp_ttl(packet: bytes, seconds: int) -> bytes:
    """An answer with every TTL lowered to at most `seconds`; a malformed one as it is."""
    changed = bytearray(packet)
    for at in _sections(packet):
        if packet[at : at + 2] != _OPT:  # EDNS keeps flags where others have the TTL
            ttl = min(int.from_bytes(packet[at + 4 : at + 8], "big"), seconds)
            changed[at + 4 : at + 8] = ttl.to_bytes(4, "big")
    return bytes(changed)


def _sections(packet: bytes) -> list[int]:
    """Where each record's type stands; none if the packet is malformed."""
    found = []
    try:
        questions, *counts = (int.from_bytes(packet[i : i + 2], "big") for i in (4, 6, 8, 10))
        at = 12
        for _ in range(questions):
            at = _after_name(packet, at) + 4
        for _ in range(sum(counts)):
            at = _after_name(packet, at)
            found.append(at)
            at += 10 + int.from_bytes(packet[at + 8 : at + 10], "big")
    except IndexError:
        return []
    return found if at == len(packet) else []


def _after_name(packet: bytes, at: int) -> int:
    while packet[at]:
        if packet[at] >= 0xC0:
            return at + 2
        at += packet[at] + 1
    return at + 1
