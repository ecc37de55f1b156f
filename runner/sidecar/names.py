"""The name server of the namespace: Docker's answers, made short-lived, and the live candidate.

Docker's DNS says 600 s, Envoy's DNS has a lower bound for TTLs only, and a replaced container has
a new address at once: without this a peer stays unreachable for ten minutes.

While a service NAME is rolled out, a container ``<project>-NAME-live`` may stand in for it. Every
question for NAME is asked for that container as well, and its answer is the one that counts. So
callers and gateway move there, and back, within a second, and nobody has to tell them.

A program gets another address for a service that offers TCP ports (see `tcp_names`); Envoy, which
asks by another door, always gets the real one.

A service whose containers are being replaced in place has no name for a while. A question for one
that was there a moment ago waits for its return.

What a program asks for and nobody has is told in the log (see `unknown`). Where `egress:` is said,
names that are no service's are judged by it (see `outside_names`).
"""

from __future__ import annotations

import re
import selectors
import socket
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from runner.listeners import DOCKER_DNS, MESH_PORTS, PROGRAMS
from runner.sidecar import dns, names_over_tcp, threads
from runner.sidecar.outside_names import OutsideNames
from runner.sidecar.tcp_names import ALIAS, PATIENCE_SECONDS, TcpNames, is_name
from runner.sidecar.unanswered_names import UnansweredNames

TTL = 1
QUERY_SECONDS = 5.0
LIVE_SECONDS = 0.2
"""How much longer than for the plain name to wait for the candidate. Docker answers for it by
itself (measured: 0.3 ms), as long as the container has an explicit ndots option."""

HELD_SECONDS = 0.01
"""Between two looks at whether Envoy takes connections to a service by now."""

RECENT_SECONDS = 60.0
"""How long ago a name must have had an answer for its return to be waited for."""

RETURN_SECONDS = 3.0
"""How long to wait: a container is replaced in about one, and resolvers wait for five."""

AGAIN_SECONDS = 0.1
"""Between two questions meanwhile."""

MOST_RECENT = 1000
MOST_WAITING = 500
_SHORT_ID = re.compile(r"[0-9a-f]{12}")

_PLAIN, _LIVE, _ALIAS = "plain", "live", "alias"
"""What the engine is asked for: the name, its candidate, the sign of a service with TCP ports."""


class Client(NamedTuple):
    """Who asked, and by which socket the answer leaves."""

    listener: socket.socket
    address: tuple[str, int]


def candidate(project: str, asked: dns.DnsQuestion) -> str | None:
    """The container that stands in for a service during a rollout, if that may be asked for."""
    name = f"{project}-{asked.label}-live"
    possible = asked.kind in (dns.A, dns.AAAA) and not _SHORT_ID.fullmatch(asked.label)
    return name if possible and len(name) < 64 else None


@dataclass(eq=False)
class _Waiting:
    """A query of a client, or of our own (None), and what came back for it so far.

    `answer` is what will be said, unless it has to wait for Envoy (`held`). `again` is when the
    engine is asked anew, because the name may return; `missed` is what it said last. `outside` is
    the address of a host outside of the project.
    """

    client: Client | None
    query: bytes
    asked: dns.DnsQuestion | None
    began: float
    until: float
    plain: bytes | None = None
    live_is_open: bool = False
    alias_is_open: bool = False
    offers_tcp: bool = False
    outside: str = ""
    answer: bytes | None = None
    held: bool = False
    again: float | None = None
    missed: bytes | None = None
    sockets: list[socket.socket] = field(default_factory=list)


class Names:
    """Answers on `listener` with what `upstream` says.

    Args:
        listener: where Envoy asks.
        upstream: the engine's name server.
        project: whose services have candidates.
        unknown: hears of what has no answer.
        programs: where programs ask, if there are any; they get addresses of `tcp`.
        tcp: the services that offer TCP ports.
        outside: judges names that are no service's; None: the engine answers for them.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what a gateway has not
        self,
        listener: socket.socket,
        upstream: tuple[str, int],
        project: str,
        unknown: UnansweredNames | None = None,
        programs: socket.socket | None = None,
        tcp: TcpNames | None = None,
        outside: OutsideNames | None = None,
    ) -> None:
        self._upstream, self._project = upstream, project
        self._unknown, self._programs, self._tcp = unknown, programs, tcp
        self._outside = outside
        self._selector = selectors.DefaultSelector()
        for each in (listener, programs):
            if each:
                self._selector.register(each, selectors.EVENT_READ)
        self._waiting: list[_Waiting] = []
        self._recent: dict[str, float] = {}

    def step(self) -> None:
        """Handle what has arrived, or what nobody answered in time."""
        now = time.monotonic()
        nearest = min((each.until for each in self._waiting), default=now + QUERY_SECONDS)
        if self._unknown and (at := self._unknown.next) is not None:
            nearest = min(nearest, at)
        if any(each.held for each in self._waiting):
            nearest = min(nearest, now + HELD_SECONDS)
        nearest = min([nearest, *(each.again for each in self._waiting if each.again is not None)])
        for key, _ in self._selector.select(max(0.0, nearest - now)):
            # A refused packet is an OSError on the next call; there is another query soon.
            with suppress(OSError):
                if key.data is None:
                    self._accept(key.fileobj)  # type: ignore[arg-type]
                else:
                    self._take(key.fileobj, *key.data)  # type: ignore[arg-type]
        for each in [each for each in self._waiting if each.held]:
            self._conclude(each)
        now = time.monotonic()
        for each in self._waiting:
            if each.again is not None and each.again <= now < each.until:
                self._ask_again(each)
        for each in [each for each in self._waiting if each.until <= time.monotonic()]:
            self._late(each)
        for query in self._unknown.again(time.monotonic()) if self._unknown else ():
            self._begin(query, None)

    def _accept(self, listener: socket.socket) -> None:
        query, address = listener.recvfrom(4096)
        if len(self._waiting) >= MOST_WAITING:
            return  # clients ask again
        client, asked = Client(listener, address), dns.question(query)
        if self._outside and not dns.is_plain(query):
            self._begin_outside(query, client, self._outside)
        elif self._outside and asked and self._goes_on(listener, asked):
            listener.sendto(dns.answer(query, asked, [], TTL), address)
        else:
            self._begin(query, client)

    def _goes_on(self, listener: socket.socket, asked: dns.DnsQuestion) -> bool:
        """Whether the engine would hand a program's question for one label on to servers outside:
        it does so unless an address is asked for."""
        return listener is self._programs and asked.kind not in (dns.A, dns.AAAA)

    def _begin_outside(self, query: bytes, client: Client, outside: OutsideNames) -> None:
        """A program gets an address of ours for a host that it may reach, Envoy the real one."""
        asked, now = dns.whole_question(query), time.monotonic()
        if asked is None:
            return  # nobody could tell what it asks for
        address = outside.address(asked)
        if address and client.listener is not self._programs:
            self._begin(query, client)
            return
        entry = _Waiting(client, query, asked, now, now + PATIENCE_SECONDS, outside=address or "")
        self._waiting.append(entry)
        if address is None:
            self._finish(entry, dns.no_such_name(query, asked))
        else:
            self._conclude(entry)

    def _begin(self, query: bytes, client: Client | None) -> None:
        asked = dns.question(query)
        now = time.monotonic()
        entry = _Waiting(client, query, asked, now, now + QUERY_SECONDS)
        self._waiting.append(entry)
        tcp = self._tcp_for(client)
        if asked and tcp and tcp.known(asked.label.lower()):
            entry.offers_tcp = True
            if asked.kind == dns.AAAA:
                self._finish(entry, dns.answer(query, asked, [], TTL))
                return
        self._ask_engine(entry, tcp)

    def _ask_engine(self, entry: _Waiting, tcp: TcpNames | None) -> None:
        query, asked = entry.query, entry.asked
        self._ask(entry, query, _PLAIN)
        if not asked:
            return
        if name := candidate(self._project, asked):
            entry.live_is_open = True
            self._ask(entry, dns.ask_for(name, query, asked), _LIVE)
        if tcp and not entry.offers_tcp and asked.kind == dns.A and is_name(asked.label.lower()):
            entry.alias_is_open = True
            self._ask(entry, dns.ask_for(asked.label.lower() + ALIAS, query, asked), _ALIAS)

    def _ask_again(self, entry: _Waiting) -> None:
        self._close(entry)
        entry.again, entry.missed = None, entry.answer
        entry.answer = entry.plain = None
        self._ask_engine(entry, self._tcp_for(entry.client))

    def _tcp_for(self, client: Client | None) -> TcpNames | None:
        return self._tcp if client and client.listener is self._programs else None

    def _ask(self, entry: _Waiting, query: bytes, what: str) -> None:
        upstream = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        entry.sockets.append(upstream)
        upstream.bind((dns.source(self._upstream[0]), 0))
        upstream.connect(self._upstream)
        self._selector.register(upstream, selectors.EVENT_READ, (entry, what))
        upstream.send(query)

    def _take(self, upstream: socket.socket, entry: _Waiting, what: str) -> None:
        if entry not in self._waiting:
            return  # finished by the event before this one
        self._selector.unregister(upstream)
        packet = upstream.recv(65535)
        found = dns.records(packet, entry.asked.kind) if entry.asked else []
        if what == _ALIAS:
            entry.alias_is_open, entry.offers_tcp = False, bool(found)
        elif what == _LIVE:
            entry.live_is_open = False
            if found and entry.asked:
                entry.answer = dns.answer(entry.query, entry.asked, found, TTL)
        else:
            entry.plain = packet
        if entry.answer is None and not entry.live_is_open:
            entry.answer = entry.plain
        if entry.answer is not None and not entry.alias_is_open:
            if self._may_return(entry):
                entry.again = time.monotonic() + AGAIN_SECONDS
            else:
                self._conclude(entry)
        elif not entry.alias_is_open and dns.has_answer(entry.answer or entry.plain or b""):
            # An answer to give; without one the candidate is worth the whole time.
            entry.until = min(entry.until, time.monotonic() + LIVE_SECONDS)

    def _may_return(self, entry: _Waiting) -> bool:
        """Whether there is no address for a name that had one a moment ago."""
        asked, client = entry.asked, entry.client
        if not asked or not client or asked.kind != dns.A or dns.has_answer(entry.answer or b""):
            return False
        last = self._recent.get(asked.label.lower())
        if last is None or time.monotonic() - last > RECENT_SECONDS:
            return False
        entry.until = min(entry.until, entry.began + RETURN_SECONDS)
        return True

    def _conclude(self, entry: _Waiting) -> None:
        """Answer; a program that asks for a service with TCP ports gets the address for these."""
        asked, tcp, address = entry.asked, self._tcp, entry.outside
        if address and tcp and not tcp.started:
            entry.held = True
            return
        if asked and tcp and entry.offers_tcp and dns.has_answer(entry.answer or b""):
            tcp.want(asked.label.lower())
            found = tcp.address(asked.label.lower())
            if found is None:
                if not entry.held:
                    entry.held, entry.until = True, time.monotonic() + PATIENCE_SECONDS
                return
            address = found
        if asked and address:
            packed = [socket.inet_aton(address)] if asked.kind == dns.A else []
            entry.answer = dns.answer(entry.query, asked, packed, TTL)
        self._finish(entry, entry.answer)

    def _late(self, entry: _Waiting) -> None:
        """Time is up: the candidate's answer is done without.

        Where Envoy does not take connections yet, or nobody knows whether there are TCP ports, an
        address would be a wrong one.
        """
        if entry.asked and (entry.held or entry.alias_is_open):
            self._finish(entry, dns.failure(entry.query, entry.asked))
            return
        entry.answer = entry.answer or entry.plain or entry.missed
        self._conclude(entry)

    def _finish(self, entry: _Waiting, packet: bytes | None) -> None:
        self._waiting.remove(entry)
        self._close(entry)
        if packet is not None:
            if dns.has_answer(packet):
                self._remember(entry)
            self._note(entry, packet)
        if packet is not None and entry.client:
            # Other people's names keep their own lives.
            short = dns.clamp_ttl(packet, TTL) if entry.asked else packet
            with suppress(OSError):
                entry.client.listener.sendto(short, entry.client.address)

    def _close(self, entry: _Waiting) -> None:
        for each in entry.sockets:
            with suppress(KeyError, ValueError):
                self._selector.unregister(each)
            each.close()
        entry.sockets.clear()

    def _remember(self, entry: _Waiting) -> None:
        if entry.asked and entry.asked.kind == dns.A:
            if len(self._recent) >= MOST_RECENT:
                self._recent.clear()
            self._recent[entry.asked.label.lower()] = time.monotonic()

    def _note(self, entry: _Waiting, packet: bytes) -> None:
        """Tell `unknown` what became of a question; a name has addresses of one kind at least."""
        if self._unknown is None:
            return
        if dns.has_answer(packet):
            self._unknown.answered(dns.first_label(entry.query))
        elif entry.held or entry.alias_is_open:
            return
        elif entry.asked and entry.asked.kind == dns.A and entry.client:
            self._unknown.missed(entry.asked.label, entry.query, time.monotonic())
        elif entry.asked and not entry.client:
            self._unknown.decided(entry.asked.label)


def nameserver(resolv_conf: str) -> str:
    """The first IPv4 name server of a resolv.conf, else Docker's own."""
    found = re.search(r"^nameserver\s+([0-9.]+)\s*$", resolv_conf, re.M)
    return found[1] if found else DOCKER_DNS


def start(project: str, tcp: TcpNames | None = None, outside: OutsideNames | None = None) -> None:
    """Serve names on threads that end with the process.

    Args:
        project: whose services have candidates.
        tcp: the services that offer TCP ports; None where there is no program.
        outside: judges names that are no service's.
    """
    upstream = (nameserver(Path("/etc/resolv.conf").read_text()), 53)
    envoy = _bound("127.0.0.1")
    if tcp is None:
        threads.keep(Names(envoy, upstream, project).step)
        return
    unknown, programs = UnansweredNames(project), _bound(PROGRAMS)
    threads.keep(Names(envoy, upstream, project, unknown, programs, tcp, outside).step)
    names_over_tcp.serve(programs.getsockname(), None if outside else upstream)


def _bound(host: str) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.bind((host, MESH_PORTS["dns"]))
    return listener
