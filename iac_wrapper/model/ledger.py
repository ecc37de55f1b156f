"""Who acts on a project, and what its ledger says of one release or event. Values, no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

Source = Literal["cli", "cdktf", "api", "keeper", "server", "terraform"]
"""From where: a command, the cdktf CLI by `make`, a job of the admin API; by themselves the process
that keeps a project running and the server of the API; or Terraform without any of these, which is
found in its state."""

Verdict = Literal["good", "unhealthy", "unproven", "failed", "interrupted", "running"]
"""``good``: done, and proven where there is something to prove; ``unhealthy``: done, and not all is
good; ``unproven``: applied, and nobody asked; ``failed``: ended with an error; ``interrupted``:
stopped, or killed; ``running``: not ended yet."""


@dataclass(frozen=True)
class Caller:
    """From where an operation was asked for; of an API's job its id, and of its caller the proven
    id (the token's subject, ``uid:1000``, a SPIFFE URI) and the name."""

    source: Source = "cli"
    subject: str = ""
    name: str = ""
    job: str = ""

    @property
    def is_automatic(self) -> bool:
        """Whether nobody asked for it."""
        return self.source in ("keeper", "server")

    def to_dict(self) -> dict[str, str]:
        """What is known."""
        return {name: value for name, value in vars(self).items() if value}


@dataclass(frozen=True)
class LedgerEntry:
    """A release (it changes what runs) or an event, by its number; `facts` are the fields of its
    lines, see docs/releases.md. `ended` is false of a release whose last line is missing."""

    number: int
    is_release: bool
    ended: bool
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """What was done: ``deploy``, ``remove``, ``heal``, …"""
        return str(self.facts.get("kind", "?"))

    @property
    def verdict(self) -> str:
        """How it went, see `Verdict`."""
        return str(self.facts.get("verdict", "interrupted"))

    @property
    def at(self) -> datetime:
        """When it began; the year 1 if no line says that."""
        try:
            return datetime.fromisoformat(self.facts["at"]).astimezone(UTC)
        except (KeyError, ValueError, OverflowError):
            return datetime.min.replace(tzinfo=UTC)

    @property
    def who(self) -> str:
        """The person, or what acted by itself, in a word or two."""
        by = self.facts.get("by", {})
        user = by.get("name") or by.get("subject") or by.get("user")
        source = None if by.get("source") == "cli" else by.get("source")
        return ", ".join(str(each) for each in (user, source) if each)

    @property
    def has_lock(self) -> bool:
        """Whether it says what is deployed since."""
        return "lock" in self.facts

    def judged(self, verdict: Verdict) -> LedgerEntry:
        """The same with a verdict, which its lines do not have yet."""
        return replace(self, facts={**self.facts, "verdict": verdict})

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        release = {"number": self.number, "release": self.is_release, "ended": self.ended}
        return {**release, "verdict": self.verdict, **self.facts}


def rfc3339(at: datetime) -> str:
    """A time as lines have it."""
    return at.isoformat(timespec="milliseconds")


_PARTS = {"hook": "hooks", "delivery": "deliveries"}
"""Lines of which a release can have several, and the field that lists them."""


def entries(lines: Iterable[Mapping[str, Any]]) -> list[LedgerEntry]:
    """The releases and events of a ledger's lines, by number."""
    known: dict[int, LedgerEntry] = {}
    for line in lines:
        number, kind = line["n"], line["type"]
        facts = {name: value for name, value in line.items() if name not in ("v", "n", "type")}
        if kind in ("started", "event"):
            known[number] = LedgerEntry(number, kind == "started", kind == "event", facts)
        elif kind == "ended" and number in known:
            before = known[number]
            facts["ended_at"] = facts.pop("at", None)
            known[number] = replace(before, ended=True, facts={**before.facts, **facts})
        elif kind in _PARTS and number in known:
            before, name = known[number], _PARTS[kind]
            parts = [*before.facts.get(name, ()), facts]
            known[number] = replace(before, facts={**before.facts, name: parts})
    return [known[number] for number in sorted(known)]
