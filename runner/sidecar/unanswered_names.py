"""Names that a program asked for and nobody has: each is told once, in the container's log.

A program that calls a service by a wrong name gets no more than "name not known" from its resolver.
To answer with an address of ours would tell more, and break what relies on that answer: "try this
host, else that one", waiting for a port. So the name stays unknown, and a line says so.

A service that is just being replaced has no answer either, and a short name may be one that a
search domain completes. So a name is asked for again after a while, and dropped when it, or a
longer name that begins with it, has had an answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from runner.sidecar.log import say

AGAIN_SECONDS = 10.0
"""From the question that had no answer to the one that decides: longer than a service is gone while
its containers are replaced in place."""

MOST = 100
"""Names that are told, and names that are waited for; a program may ask for made-up ones."""

_SERVICE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


class UnansweredNames:
    """The unanswered names of one project's network namespace."""

    def __init__(self, project: str, tell: Callable[[str], None] = say) -> None:
        self._project = project
        self._tell = tell
        self._due: dict[str, tuple[float, bytes]] = {}
        self._known: set[str] = set()
        self._told: set[str] = set()

    @property
    def next(self) -> float | None:
        """When the next name is to be asked for again; None: there is none."""
        return min((at for at, _ in self._due.values()), default=None)

    def missed(self, label: str, query: bytes, now: float) -> None:
        """`query` for `label` had no answer."""
        name = label.lower()
        seen = name in self._due or name in self._known or name in self._told
        if not seen and len(self._due) + len(self._told) < MOST and _SERVICE.fullmatch(name):
            self._due[name] = now + AGAIN_SECONDS, query

    def answered(self, label: str) -> None:
        """There is such a name, or a longer one that begins with it."""
        name = label.lower()
        self._due.pop(name, None)
        if len(self._known) < 10 * MOST:
            self._known.add(name)

    def again(self, now: float) -> list[bytes]:
        """The questions whose time has come."""
        due = [name for name, (at, _) in self._due.items() if at <= now]
        return [self._due.pop(name)[1] for name in due]

    def decided(self, label: str) -> None:
        """The second question for `label` had no answer either."""
        name = label.lower()
        if name not in self._known and name not in self._told:
            self._told.add(name)
            self._tell(
                f"no service {name} in project {self._project}, and no other host of that name:"
                f" `iac health --project {self._project}` lists the services"
            )
