"""Services that a person stopped: who did so, who misses them, and what starts them again.

That they are stopped stands in the lock; by whom and when, in the ledger.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from iac_wrapper.errors import ConfigError
from iac_wrapper.model.app import ResolvedApp
from iac_wrapper.model.ledger import LedgerEntry, entries
from iac_wrapper.model.lock import LockFile
from iac_wrapper.operations import recording
from iac_wrapper.operations.workspace import Workspace

KIND = "stop"
"""Of the release that stops services, in the ledger."""


@dataclass(frozen=True)
class ParkedService:
    """One of them: by whom it was stopped, and when (UTC), as far as the ledger knows. Services
    that run need it (`needed_by`), or name it in their `allow:` (`allowed_by`)."""

    app: ResolvedApp
    by: str
    at: datetime | None
    needed_by: tuple[str, ...]
    allowed_by: tuple[str, ...]
    next_step: str

    @property
    def text(self) -> str:
        """What is to be known, in a sentence without a full stop."""
        who = f" by {self.by}" if self.by else ""
        when = f", {self.at:%Y-%m-%d %H:%M} UTC" if self.at else ""
        parts = [f"{self.app.name}: stopped (iac stop{who}{when})"]
        if self.needed_by:
            parts.append(f"needed by {', '.join(self.needed_by)}")
        if self.allowed_by:
            parts.append(f"in `allow:` of {', '.join(self.allowed_by)}")
        return "; ".join([*parts, f"next: {self.next_step}"])

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "name": self.app.name,
            "slug": self.app.slug,
            "commit": self.app.commit,
            "image": self.app.image,
            "by": self.by or None,
            "at": self.at and self.at.isoformat(),
            "needed_by": list(self.needed_by),
            "allowed_by": list(self.allowed_by),
            "next_step": self.next_step,
        }


def parked_services(workspace: Workspace, lock: LockFile | None = None) -> list[ParkedService]:
    """The stopped services of `lock`, by name; None: of what is deployed."""
    lock = lock or workspace.applied_lock()
    if lock is None or not lock.parked:
        return []
    known: list[LedgerEntry] = []
    with suppress(ConfigError):  # then nobody knows who it was
        known = entries(recording.ledger_of(workspace).read().lines)
    return [_parked(app, lock, known) for app in lock.parked]


def say(workspace: Workspace, lock: LockFile) -> None:
    """Say which services of `lock` are stopped, a line for each."""
    for each in parked_services(workspace, lock):
        workspace.progress(each.text)


def check_none(workspace: Workspace, lock: LockFile, names: Collection[str]) -> None:
    """Refuse names of stopped services.

    Raises:
        ConfigError: says what starts the first one.
    """
    for name in sorted({app.name for app in lock.parked} & {*names}):
        raise unknown_service(workspace, name, ())


def unknown_service(workspace: Workspace, name: str, known: Collection[str]) -> ConfigError:
    """The error for the name of a service that has no containers: nobody knows it, or it is
    stopped.

    Args:
        known: the names that could have been meant.
    """
    found = {each.app.name: each for each in parked_services(workspace)}
    if name in found:
        return ConfigError(
            f"service {name} is stopped",
            found=found[name].text.partition("; ")[0],
            next_step=found[name].next_step,
        )
    return ConfigError(
        f"no service {name} in project {workspace.project}",
        expected=", ".join(sorted(known)) or "a deployed service",
        next_step=f"iac status --project {workspace.project} lists them",
    )


def _parked(app: ResolvedApp, lock: LockFile, known: list[LedgerEntry]) -> ParkedService:
    stops = (e for e in reversed(known) if e.kind == KIND and app.name in e.facts.get("named", ()))
    last = next(stops, None)
    return ParkedService(
        app,
        by=last.who if last else "",
        at=last.at if last else None,
        needed_by=tuple(each.name for each in lock.apps if app.name in each.options.needs),
        allowed_by=tuple(each.name for each in lock.apps if app.name in (each.options.allow or ())),
        next_step=f"iac start {app.name} --project {lock.project}",
    )
