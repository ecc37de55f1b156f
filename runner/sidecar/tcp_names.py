"""The services that a program calls over TCP: an address for each, and what Envoy does with it.

A service that offers TCP ports has the alias ``<name>_tcp`` on the project's network. Whoever asks
for its name here gets an address out of 127.64.0.0/10, once Envoy knows what to do with connections
to it. Which ports they are the service itself tells, by its sidecar. So nobody keeps a list, and a
service that comes or changes replaces and restarts nothing.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
import threading
import time
from collections.abc import Callable, Collection

from runner.listeners import ADDRESSES
from runner.sidecar.offers import Offer
from runner.sidecar.tcp_files import Peer

ALIAS = "_tcp"
"""Behind a service's name: no service can have such a name itself."""

FRESH_SECONDS = 2.0
"""The age of an offer from which a question for the name has it asked for again."""

PATIENCE_SECONDS = 4.0
"""For the first offer of a service, which may just be starting: a resolver waits for 5 s."""

PAUSE_SECONDS = 0.2

MOST = 1000
"""Services that are remembered."""


def address(name: str, taken: Collection[str]) -> str:
    """The address of a name: always the same, unless another name has it here already."""
    network = ipaddress.IPv4Network(ADDRESSES)
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
    while True:
        found = str(network[1 + number % (network.num_addresses - 2)])
        if found not in taken:
            return found
        number += 1


class TcpNames:
    """What is known of services that offer TCP ports. Used by several threads.

    Args:
        ask: what a service offers; raises OSError.
        changed: called when somebody's offer is another one.

    Attributes:
        started: whether Envoy takes connections at all.
    """

    def __init__(self, ask: Callable[[str], Offer], changed: Callable[[], None]) -> None:
        self._ask, self._changed = ask, changed
        self._peers: dict[str, Peer] = {}
        self._asked: dict[str, float] = {}
        self._asking: set[str] = set()
        self._ready: dict[str, str] = {}
        self.started = False
        self._lock = threading.Lock()

    @property
    def peers(self) -> tuple[Peer, ...]:
        """Those known, by name."""
        with self._lock:
            return tuple(self._peers[name] for name in sorted(self._peers))

    def ready(self, peers: Collection[Peer]) -> None:
        """Envoy takes connections for these, and for no others."""
        self._ready = {peer.name: peer.address for peer in peers}
        self.started = True

    def known(self, name: str) -> bool:
        """Whether a service is known to offer ports."""
        return name in self._peers

    def address(self, name: str) -> str | None:
        """The address for programs, as soon as connections to it are taken; None until then.

        Empty: the service offers no ports after all.
        """
        with self._lock:
            if name in self._peers:
                return self._ready.get(name)
            return "" if self._is_fresh(name) else None

    def want(self, name: str) -> None:
        """Have an offer asked for, unless there is a fresh one."""
        with self._lock:
            known = len(self._asking) + len(self._peers)
            if self._is_fresh(name) or name in self._asking or known >= MOST:
                return
            self._asking.add(name)
        threading.Thread(target=self._find, args=(name, time.monotonic()), daemon=True).start()

    def _is_fresh(self, name: str) -> bool:
        at = self._asked.get(name)
        return at is not None and time.monotonic() - at < FRESH_SECONDS

    def _find(self, name: str, began: float) -> None:
        try:
            while time.monotonic() - began < PATIENCE_SECONDS:
                try:
                    offer = self._ask(name)
                except OSError:
                    time.sleep(PAUSE_SECONDS)
                else:
                    self._learn(name, offer)
                    return
        finally:
            with self._lock:
                self._asking.discard(name)

    def _learn(self, name: str, offer: Offer) -> None:
        with self._lock:
            before = self._peers.get(name)
            if offer.ports:
                taken = {peer.address for peer in self._peers.values()}
                own = before.address if before else address(name, taken)
                self._peers[name] = Peer(name, own, offer)
            else:
                self._peers.pop(name, None)
            self._asked[name] = time.monotonic()
            same = self._peers.get(name) == before
        if not same:
            self._changed()


def is_name(label: str) -> bool:
    """Whether a service can be called so, with room for `ALIAS`."""
    return bool(re.fullmatch(r"[a-z0-9](?:[a-z0-9-]{0,57}[a-z0-9])?", label))
