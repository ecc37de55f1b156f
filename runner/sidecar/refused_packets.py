"""What the firewall refuses, heard from the kernel (linux/netfilter/nfnetlink_log.h).

The socket is made while the process still may; to read it needs nothing.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

from runner.sidecar import threads
from runner.sidecar.outside_names import RefusedAttempts

GROUP = 1
"""The firewall's rule names it (`-j NFLOG --nflog-group`)."""

_NETFILTER = 12  # NETLINK_NETFILTER
_PACKET, _CONFIG = 0x400, 0x401  # NFNL_SUBSYS_ULOG << 8, with NFULNL_MSG_PACKET and _CONFIG
_REQUEST = 1 | 4  # NLM_F_REQUEST, NLM_F_ACK
_HEADER = struct.Struct("=IHHII")
_FAMILY = struct.Struct("!BBH")
_COMMAND, _MODE, _TIMEOUT = 1, 2, 4  # NFULA_CFG_CMD, NFULA_CFG_MODE, NFULA_CFG_TIMEOUT
_BIND, _COPY_PACKET = 1, 2
_PAYLOAD = 9  # NFULA_PAYLOAD
_COPIED = 64
"""Octets of a packet: the longest IPv4 header and the ports behind it."""

_WAIT = 10
"""Hundredths of a second in which the kernel collects packets before it tells."""

_PROTOCOLS = {1: "ICMP", 6: "TCP", 17: "UDP"}


def listen() -> socket.socket | None:
    """Have the kernel tell; None where it does not."""
    try:
        kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETFILTER)
    except OSError:
        return None
    kernel.settimeout(1)
    try:
        for kind, value in (
            (_COMMAND, bytes([_BIND])),
            (_MODE, struct.pack("!IBx", _COPIED, _COPY_PACKET)),
            (_TIMEOUT, struct.pack("!I", _WAIT)),
        ):
            body = _FAMILY.pack(0, 0, GROUP) + struct.pack("=HH", 4 + len(value), kind)
            body += value.ljust((len(value) + 3) & ~3, b"\0")
            kernel.send(_HEADER.pack(_HEADER.size + len(body), _CONFIG, _REQUEST, 0, 0) + body)
            _check(kernel.recv(1 << 16))
    except OSError:
        kernel.close()
        return None
    kernel.settimeout(None)
    return kernel


def _check(answer: bytes) -> None:
    (error,) = struct.unpack_from("=i", answer, _HEADER.size)
    if error:
        raise OSError(-error, "the kernel does not tell of packets")


def follow(kernel: socket.socket, refused: RefusedAttempts) -> None:
    """Tell `refused` of each packet, on a thread that ends with the process."""

    def step() -> None:
        for packet in packets(kernel.recv(1 << 16)):
            if where := destination(packet):
                refused.add(where)

    threads.keep(step)


def packets(data: bytes) -> Iterator[bytes]:
    """The beginnings of the packets in one datagram of the kernel's."""
    while len(data) >= _HEADER.size:
        size, kind, *_ = _HEADER.unpack_from(data)
        if kind == _PACKET:
            yield from _payload(data[_HEADER.size + _FAMILY.size : size])
        data = data[max(size + 3 & ~3, _HEADER.size) :]


def _payload(attributes: bytes) -> Iterator[bytes]:
    while len(attributes) >= 4:
        size, kind = struct.unpack_from("=HH", attributes)
        if kind == _PAYLOAD:
            yield attributes[4:size]
        attributes = attributes[max(size + 3 & ~3, 4) :]


def destination(packet: bytes) -> str:
    """Where an IPv4 packet was going, for people; empty if it is none."""
    if len(packet) < 20 or packet[0] >> 4 != 4:
        return ""
    protocol = _PROTOCOLS.get(packet[9], f"protocol {packet[9]}")
    to, behind = socket.inet_ntoa(packet[16:20]), (packet[0] & 15) * 4
    if protocol not in ("TCP", "UDP") or len(packet) < behind + 4:
        return f"{protocol} to {to}"
    return f"{protocol} to {to}:{int.from_bytes(packet[behind + 2 : behind + 4], 'big')}"
