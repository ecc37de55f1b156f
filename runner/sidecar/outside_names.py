"""Names outside of the project where `egress:` is said: those of hosts that may be reached have an
address for programs, no other name has an answer, and nobody outside is asked for it."""

from __future__ import annotations

import time
from collections.abc import Callable

from runner.sidecar import dns
from runner.sidecar.egress import Egress
from runner.sidecar.log import say

EVERY_SECONDS = 60.0
"""Between two lines about the same name or address."""

MOST = 200
"""Names and addresses of which that is remembered."""


class RefusedAttempts:
    """Tells what was refused, each once a minute. Used by several threads.

    Args:
        service: whose `egress:` it is.
    """

    def __init__(self, service: str, tell: Callable[[str], None] = say) -> None:
        self._service, self._tell = service, tell
        self._told: dict[str, float] = {}

    def add(self, what: str) -> None:
        """Somebody tried to reach `what`."""
        now = time.monotonic()
        if now - self._told.get(what, -EVERY_SECONDS) < EVERY_SECONDS:
            return
        self._told = {each: at for each, at in self._told.items() if now - at < EVERY_SECONDS}
        if len(self._told) < MOST:
            self._told[what] = now
            self._tell(
                f"{what} was refused: `egress:` of service {self._service} in repos.yaml does not"
                " allow it"
            )


class OutsideNames:
    """Judges questions for names that are no service's.

    Args:
        egress: what may be reached.
        refused: hears of other names.
    """

    def __init__(self, egress: Egress, refused: RefusedAttempts) -> None:
        self._addresses = {host.name: host.address for host in egress.hosts}
        self._refused = refused

    def address(self, asked: dns.DnsQuestion) -> str | None:
        """The address for programs; None: it has no answer."""
        name = asked.label.lower()
        found = self._addresses.get(name)
        if found is None and name and not name.endswith(".in-addr.arpa"):
            self._refused.add(f"the name {name}")
        return found
