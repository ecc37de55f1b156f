"""The name server of the namespace: Docker's answers, made short-lived, and the live candidate.

Docker's DNS says 600 s, Envoy's DNS has a lower bound for TTLs only, and a replaced container has
a new address at once: without this a peer stays unreachable for ten minutes.

While a service NAME is rolled out, a container ``<project>-NAME-live`` may stand in for it. Every
question for NAME is asked for that container as well, and its answer is the one that counts. So
callers and gateway move there, and back, within a second, and nobody has to tell them.

What a program asks for and nobody has is told in the log (see `unknown`).
"""

from __future__ import annotations

import re
import selectors
import socket
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from runner.listeners import DOCKER_DNS, MESH_PORTS
from runner.sidecar import dns, threads
from runner.sidecar.unanswered_names import UnansweredNames

TTL = 1
QUERY_SECONDS = 5.0
LIVE_SECONDS = 0.2
"""How much longer than for the plain name to wait for the candidate. Docker answers for it by
itself (measured: 0.3 ms), as long as the container has an explicit ndots option."""

MOST_WAITING = 500
_SHORT_ID = re.compile(r"[0-9a-f]{12}")


def candidate(project: str, asked: dns.DnsQuestion) -> str | None:
    """The container that stands in for a service during a rollout, if that may be asked for."""
    name = f"{project}-{asked.label}-live"
    possible = asked.kind in (dns.A, dns.AAAA) and not _SHORT_ID.fullmatch(asked.label)
    return name if possible and len(name) < 64 else None


@dataclass(eq=False)
class _Waiting:
    """A query of a client, or of our own (None), and what came back for it so far."""

    client: tuple[str, int] | None
    query: bytes
    asked: dns.DnsQuestion | None
    until: float
    plain: bytes | None = None
    live_is_open: bool = False
    sockets: list[socket.socket] = field(default_factory=list)


class Names:
    """Answers on `listener` with what `upstream` says; `unknown` hears of what has no answer."""

    def __init__(
        self,
        listener: socket.socket,
        upstream: tuple[str, int],
        project: str,
        unknown: UnansweredNames | None = None,
    ) -> None:
        self._listener, self._upstream, self._project = listener, upstream, project
        self._unknown = unknown
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ)
        self._waiting: list[_Waiting] = []

    def step(self) -> None:
        """Handle what has arrived, or what nobody answered in time."""
        now = time.monotonic()
        nearest = min((each.until for each in self._waiting), default=now + QUERY_SECONDS)
        if self._unknown and (at := self._unknown.next) is not None:
            nearest = min(nearest, at)
        for key, _ in self._selector.select(max(0.0, nearest - now)):
            # A refused packet is an OSError on the next call; there is another query soon.
            with suppress(OSError):
                if key.data is None:
                    self._accept()
                else:
                    self._take(key.fileobj, *key.data)  # type: ignore[arg-type]
        for each in [each for each in self._waiting if each.until <= time.monotonic()]:
            self._finish(each, each.plain)
        for query in self._unknown.again(time.monotonic()) if self._unknown else ():
            self._begin(query, None)

    def _accept(self) -> None:
        query, client = self._listener.recvfrom(4096)
        if len(self._waiting) >= MOST_WAITING:
            return  # clients ask again
        self._begin(query, client)

    def _begin(self, query: bytes, client: tuple[str, int] | None) -> None:
        asked = dns.question(query)
        entry = _Waiting(client, query, asked, time.monotonic() + QUERY_SECONDS)
        self._waiting.append(entry)
        self._ask(entry, query, live=False)
        if asked and (name := candidate(self._project, asked)):
            entry.live_is_open = True
            self._ask(entry, dns.ask_for(name, query, asked), live=True)

    def _ask(self, entry: _Waiting, query: bytes, *, live: bool) -> None:
        upstream = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        entry.sockets.append(upstream)
        upstream.connect(self._upstream)
        self._selector.register(upstream, selectors.EVENT_READ, (entry, live))
        upstream.send(query)

    def _take(self, upstream: socket.socket, entry: _Waiting, live: bool) -> None:
        if entry not in self._waiting:
            return  # finished by the event before this one
        self._selector.unregister(upstream)
        packet = upstream.recv(65535)
        found = dns.records(packet, entry.asked.kind) if entry.asked else []
        if live and entry.asked and found:
            self._finish(entry, dns.answer(entry.query, entry.asked, found, TTL))
            return
        if live:
            entry.live_is_open = False
        else:
            entry.plain = packet
        if entry.plain is not None and not entry.live_is_open:
            self._finish(entry, entry.plain)
        elif found:
            # An answer to give; without one the candidate is worth the whole time.
            entry.until = min(entry.until, time.monotonic() + LIVE_SECONDS)

    def _finish(self, entry: _Waiting, packet: bytes | None) -> None:
        self._waiting.remove(entry)
        for each in entry.sockets:
            with suppress(KeyError):
                self._selector.unregister(each)
            each.close()
        if packet is not None:
            self._note(entry, packet)
        if packet is not None and entry.client:
            # Other people's names keep their own lives.
            short = dns.clamp_ttl(packet, TTL) if entry.asked else packet
            with suppress(OSError):
                self._listener.sendto(short, entry.client)

    def _note(self, entry: _Waiting, packet: bytes) -> None:
        """Tell `unknown` what became of a question; a name has addresses of one kind at least."""
        if self._unknown is None:
            return
        if dns.has_answer(packet):
            self._unknown.answered(dns.first_label(entry.query))
        elif entry.asked and entry.asked.kind == dns.A and entry.client:
            self._unknown.missed(entry.asked.label, entry.query, time.monotonic())
        elif entry.asked and not entry.client:
            self._unknown.decided(entry.asked.label)


def nameserver(resolv_conf: str) -> str:
    """The first IPv4 name server of a resolv.conf, else Docker's own."""
    found = re.search(r"^nameserver\s+([0-9.]+)\s*$", resolv_conf, re.M)
    return found[1] if found else DOCKER_DNS


def start(project: str, *, tell: bool) -> None:
    """Serve names on a thread that ends with the process; `tell`: log those that nobody has."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.bind(("127.0.0.1", MESH_PORTS["dns"]))
    upstream = (nameserver(Path("/etc/resolv.conf").read_text()), 53)
    unknown = UnansweredNames(project) if tell else None
    threads.keep(Names(listener, upstream, project, unknown).step)
