"""Notifications as the ledger has them: which are to be sent, when, and how each attempt went.
Values, no I/O."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Literal

from iac_wrapper.model.ledger import LedgerEntry, rfc3339
from iac_wrapper.model.release_news import document

_MINUTE, _HOUR = 60, 3600

WAITS: Sequence[float] = (5, 5 * _MINUTE, 30 * _MINUTE, *(n * _HOUR for n in (2, 5, 10, 10)))
"""Seconds after each attempt that failed until the next one: the schedule of Svix, who began
Standard Webhooks. It ends after 28 hours."""

State = Literal["delivered", "waiting", "given up"]


@dataclass(frozen=True)
class Notification:
    """What is sent about one release or event; `attempts` are the lines of the ledger on it."""

    entry: LedgerEntry

    @property
    def attempts(self) -> Sequence[dict[str, Any]]:
        """The attempts so far, the first one first."""
        return list(self.entry.facts.get("deliveries", ()))

    @property
    def state(self) -> State:
        """How far it is."""
        if any(is_delivered(each.get("status")) for each in self.attempts):
            return "delivered"
        return "waiting" if len(self.attempts) <= len(WAITS) else "given up"

    @property
    def fault(self) -> str:
        """What is wrong with the last attempt; empty if nothing is, or there was none."""
        last = self.attempts[-1] if self.attempts else {}
        if is_delivered(last.get("status")):
            return ""
        return str(last.get("fault", ""))

    def is_due(self, now: datetime) -> bool:
        """Whether it is to be sent now."""
        if self.state != "waiting":
            return False
        if not self.attempts:
            return True
        last = LedgerEntry(0, False, True, self.attempts[-1]).at
        # A clock that was put back must not put it off.
        waits = timedelta(seconds=WAITS[len(self.attempts) - 1])
        return not last <= now < last + waits

    def identity(self, project: str) -> str:
        """The same each time that it is sent, and no other one's."""
        said = f"{project} {self.entry.number} {self.entry.facts.get('at')}"
        return "msg_" + hashlib.sha256(said.encode()).hexdigest()[:32]

    def body(self, project: str) -> dict[str, Any]:
        """What is sent, JSON-ready; see docs/hooks.md."""
        facts = self.entry.facts
        return {
            "type": "release.ended" if self.entry.is_release else "event.noted",
            "timestamp": facts.get("ended_at") or facts.get("at") or rfc3339(self.entry.at),
            "data": document(project, self.entry),
        }

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "release": self.entry.number,
            "kind": self.entry.kind,
            "verdict": self.entry.verdict,
            "at": rfc3339(self.entry.at),
            "state": self.state,
            "attempts": self.attempts,
        }


def notifications(entries: Iterable[LedgerEntry]) -> list[Notification]:
    """Those of a ledger, in order: of what has ended since there is a receiver."""
    return [Notification(entry) for entry in entries if entry.facts.get("notify")]


def is_delivered(status: object) -> bool:
    """Whether an HTTP status says that it was taken."""
    return isinstance(status, int) and HTTPStatus(200) <= status < HTTPStatus(300)
