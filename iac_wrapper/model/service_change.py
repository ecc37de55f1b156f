"""What a deploy would do to one service, and why, in words that need no Terraform."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

ServiceAction = Literal["add", "remove", "replace", "restart", "update", "renew", "record"]
"""New; taken away; new containers; the same ones started again; changed while they run; only a new
certificate; only what is noted about it."""

What = Literal[
    "commit",
    "source",
    "entrypoint",
    "env",
    "port",
    "settings",
    "limits",
    "certificate",
    "routes",
    "tool",
    "drift",
    "volumes",
    "other",
]


@dataclass(frozen=True)
class Reason:
    """Why: `what` for programs, `text` for people. No value of `env` is in it."""

    what: What
    text: str


@dataclass(frozen=True)
class ServiceChange:
    """One service, or one of ``gateway``, ``ingress``, ``network`` and ``control-plane``, which
    cannot be names of services. `interrupts`: its containers stop for a moment, or for good.
    """

    service: str
    action: ServiceAction
    reasons: tuple[Reason, ...] = ()

    @property
    def interrupts(self) -> bool:
        """Whether what runs now is stopped."""
        return self.action in ("remove", "replace", "restart")

    @property
    def drifted(self) -> bool:
        """Whether something was changed by hand."""
        return any(reason.what == "drift" for reason in self.reasons)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            **asdict(self),
            "reasons": [asdict(reason) for reason in self.reasons],
            "interrupts": self.interrupts,
        }


@dataclass(frozen=True)
class UnhealthyService:
    """A deployed service that is not good, and that a deploy leaves as it is.

    `status` is that of its health, ``NOT_SERVING`` or ``UNREACHABLE``, or ``SERVING`` where people
    do not reach it; `cause` a sentence.
    """

    service: str
    status: str
    cause: str
    next_step: str


def summary(changes: Sequence[ServiceChange]) -> str:
    """``1 new, 2 replaced``; empty without changes."""
    counts = Counter(_COUNTED[change.action] for change in changes)
    return ", ".join(
        f"{counts[word]} {word}" for word in dict.fromkeys(_COUNTED.values()) if counts[word]
    )


_COUNTED: dict[ServiceAction, str] = {
    "add": "new",
    "replace": "replaced",
    "restart": "restarted",
    "update": "changed in place",
    "renew": "changed in place",
    "record": "changed in place",
    "remove": "removed",
}
