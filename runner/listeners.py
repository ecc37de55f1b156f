"""Which TCP sockets listen in this network namespace, and which of them is the program's port.

Used on both sides of the container wall, by the runner beside the program and by PID 1 of the Envoy
container: they must come to the same answer. Standard library only, and no import of its own kind.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

MESH_PORTS = {
    "stats": 9901,
    "mtls": 15000,
    "outbound": 15001,
    "runner": 15020,
    "dns": 15053,
    "gateway": 15443,
}
"""Ours in the shared namespace, on both sides of the wall; none is ever the program's."""

PROGRAMS = "127.0.0.64"
"""Where the firewall sends what programs ask a name server, and what they send to an address of
`ADDRESSES`: the ports `dns` and `outbound` of an address that no program needs."""

ADDRESSES = "127.64.0.0/10"
"""The addresses that a program gets for names of services that offer TCP ports."""

DOCKER_DNS = "127.0.0.11"
"""Docker's resolver, in every namespace."""

_PROC = Path("/proc/net")
_LISTEN = 10
"""TCP_LISTEN of the kernel's net/tcp_states.h."""

_CLIENT_PORTS = Path("/proc/sys/net/ipv4/ip_local_port_range")
"""First and last port that the kernel gives to who asks for none (its ip-sysctl documentation)."""

_ANY_V4, _ANY_V6, _LOOPBACK_V4, _LOOPBACK_V6 = "0.0.0.0", "::", "127.0.0.1", "::1"  # noqa: S104


@dataclass(frozen=True, order=True)
class Listener:
    """A listening TCP socket: where, whose (uid), and its inode."""

    port: int
    host: str
    uid: int = 0
    inode: int = 0

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def listening(proc: Path | None = None) -> list[Listener]:
    """Every listener of the namespace, sorted by port, without Docker's resolver.

    The kernel's tables as text (`proc`, a folder) hold every socket of the machine: reading
    them four times a second in 60 services took a processor (measured: 4.8 ms a look, 0.08 ms when
    the kernel is asked for listeners only). They are for where that question is not allowed.
    """
    try:
        rows = set(_ask_kernel()) if proc is None else set(_read_tables(proc))
    except OSError:
        rows = set(_read_tables(_PROC))
    return sorted(each for each in rows if each.host != DOCKER_DNS)


def of_program(
    uid: int | None, *, without: Iterable[int], but: int | None = None, proc: Path | None = None
) -> list[Listener]:
    """The listeners of `uid` (None: of everybody `but` that one) on ports other than `without`:
    what a program opened itself."""
    hidden = set(without)
    return [
        each
        for each in listening(proc)
        if each.port not in hidden and (each.uid != but if uid is None else each.uid == uid)
    ]


def inodes(port: int, *, proc: Path | None = None) -> set[int]:
    """The inodes of the sockets that listen on `port`, whatever their address."""
    return {each.inode for each in listening(proc) if each.port == port}


@lru_cache(maxsize=1)
def client_ports() -> range:
    """The ports that the kernel hands out in this network namespace; Linux's own default if it
    does not say."""
    try:
        first, last = map(int, _CLIENT_PORTS.read_text(encoding="ascii").split())
    except (OSError, ValueError):
        first, last = 32768, 60999
    return range(first, last + 1)


def foremost(listeners: Iterable[Listener], port: int) -> list[Listener]:
    """Those that may be there for requests: not a helper's, unless there are none but helpers'.

    A helper is what a program starts for itself, such as a multiprocessing manager, a debugger or a
    Jupyter kernel: it takes the port that the kernel gives it, on loopback only.

    Args:
        port: the program's ``$PORT``; who listens there was told to.
    """
    given = list(listeners)
    return [each for each in given if not _is_helper(each, given, port)] or given


def has_only_helpers(listeners: Iterable[Listener], port: int) -> bool:
    """Whether something listens, and all of it as helpers do."""
    given = list(listeners)
    return bool(given) and all(_is_helper(each, given, port) for each in given)


def _is_helper(one: Listener, listeners: list[Listener], port: int) -> bool:
    if one.port == port or one.port not in client_ports():
        return False
    hosts = [each.host for each in listeners if each.port == one.port]
    return all(ipaddress.ip_address(host).is_loopback for host in hosts)


def choose(listeners: Iterable[Listener], port: int, *, declared: bool, previous: int) -> int:
    """The port that requests go to.

    Args:
        listeners: the program's own, see `of_program`.
        port: the program's ``$PORT``.
        declared: whether repos.yaml names it; then it is that port, whatever listens.
        previous: the answer before; `port` at first.

    Returns:
        `port` if something listens there; else, among the `foremost`, the previous one, so that a
        port for metrics that opens later changes nothing; else the only one there is; else the
        previous one. A helper's port never takes over from one that is not: a program that is
        started again opens its helpers first again.
    """
    given = list(listeners)
    ports = {each.port for each in foremost(given, port)}
    if declared or port in ports:
        return port
    if previous in ports or len(ports) != 1:
        return previous
    was_real = previous != port and previous not in client_ports()
    return previous if was_real and has_only_helpers(given, port) else ports.pop()


def address(listeners: Iterable[Listener], port: int) -> str | None:
    """The address that reaches the listener on `port` from inside the namespace; None: nobody's.

    127.0.0.1 wherever it will do. For ``::`` that is known only by a connection, which is opened
    and closed at once: ask when the listeners have changed, not for each request.
    """
    hosts = {each.host for each in listeners if each.port == port}
    if hosts & {_ANY_V4, _LOOPBACK_V4}:
        return _LOOPBACK_V4
    if _ANY_V6 in hosts:
        return _LOOPBACK_V4 if accepts(_LOOPBACK_V4, port) else _LOOPBACK_V6
    return min(hosts, default=None)


def accepts(host: str, port: int, seconds: float = 1.0) -> bool:
    """Whether a TCP connection to `host` opens."""
    try:
        connect(host, port, seconds).close()
    except OSError:
        return False
    return True


def connect(host: str, port: int, seconds: float = 1.0) -> socket.socket:
    """A TCP connection to `host`; raises OSError if none opens within `seconds`."""
    # From 127.0.0.2: from 127.0.0.1 the kernel may pick `port` itself as the source port and
    # connect the socket to itself, which looks ready and keeps the program from binding.
    source = ("127.0.0.2", 0) if host == _LOOPBACK_V4 else None
    return socket.create_connection((host, port), seconds, source)


_SOCK_DIAG, _BY_FAMILY, _DUMP = 4, 20, 0x301
_HEADER = struct.Struct("=IHHII")
_QUESTION = struct.Struct("=BBBxI48x")
_ANSWER = struct.Struct("=BBxx2s2x16s28x12xII")
"""Netlink's header, and inet_diag_req_v2 and inet_diag_msg of the kernel's linux/inet_diag.h."""

_ENDS, _ERROR = 3, 2


def _ask_kernel() -> Iterator[Listener]:
    """Listeners by netlink; raises OSError where that is not allowed."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _SOCK_DIAG) as kernel:
        kernel.settimeout(1.0)
        for family in (socket.AF_INET, socket.AF_INET6):
            question = _QUESTION.pack(family, socket.IPPROTO_TCP, 0, 1 << _LISTEN)
            head = _HEADER.pack(_HEADER.size + len(question), _BY_FAMILY, _DUMP, 1, 0)
            kernel.send(head + question)
            yield from _answers(kernel)


def _answers(kernel: socket.socket) -> Iterator[Listener]:
    while True:
        data = kernel.recv(1 << 16)
        while data:
            size, kind, *_ = _HEADER.unpack_from(data)
            if kind == _ENDS:
                return
            if kind == _ERROR:
                raise OSError("the kernel does not list sockets")
            family, _, port, source, uid, inode = _ANSWER.unpack_from(data, _HEADER.size)
            host = source if family == socket.AF_INET6 else source[:4]
            yield Listener(int.from_bytes(port, "big"), _written(host), uid=uid, inode=inode)
            data = data[(size + 3) & ~3 :]


def _read_tables(proc: Path) -> Iterator[Listener]:
    for name in ("tcp", "tcp6"):
        try:
            rows = (proc / name).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            _, local, _, state, *rest = row.split()
            if int(state, 16) == _LISTEN:
                host, port = local.split(":")
                yield Listener(int(port, 16), _host(host), uid=int(rest[3]), inode=int(rest[5]))


def _host(words_in_hex: str) -> str:
    """The kernel prints addresses as 32-bit words in the byte order of the machine."""
    words = [int(words_in_hex[i : i + 8], 16) for i in range(0, len(words_in_hex), 8)]
    return _written(struct.pack(f"={len(words)}I", *words))


def _written(address: bytes) -> str:
    ip = ipaddress.ip_address(address)
    # Java, say, binds ``127.0.0.1`` with an IPv6 socket.
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return str(mapped or ip)
