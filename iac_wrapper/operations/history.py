"""Looks into the ledger: releases and events, one of them, and what differs between two."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from iac_wrapper.adapters import workspace_lock
from iac_wrapper.errors import ConfigError
from iac_wrapper.files import lock_file
from iac_wrapper.files.ledger import Pages
from iac_wrapper.model.ledger import LedgerEntry, entries
from iac_wrapper.model.lock import LockFile
from iac_wrapper.model.lock_difference import (
    Change,
    ServiceDifference,
    differences,
    mesh_changes,
)
from iac_wrapper.model.notification import notifications
from iac_wrapper.operations import recording
from iac_wrapper.operations.intent import SLUGS_LOCK
from iac_wrapper.operations.workspace import Workspace
from iac_wrapper.sources import source_cache


class UnknownReleaseError(ConfigError):
    """The ledger has no such number."""


@dataclass(frozen=True)
class History:
    """Releases and events, newest first; `remarks` are sentences on what the ledger lacks."""

    entries: Sequence[LedgerEntry]
    remarks: Sequence[str]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "releases": [entry.to_dict() for entry in self.entries],
            "remarks": list(self.remarks),
        }


@dataclass(frozen=True)
class ReleaseDetail:
    """One release or event, and what was deployed after it: None for nothing, or nothing known."""

    entry: LedgerEntry
    lock: LockFile | None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form: the lock as lock_file has it, without values of variables."""
        services = {
            app.name: {**lock_file.app_to_json(app), "env": sorted(app.env)}
            for app in (self.lock.all_apps if self.lock else ())
        }
        stopped = [app.name for app in (self.lock.parked if self.lock else ())]
        return {**self.entry.to_dict(), "services": services, "stopped": stopped}


@dataclass(frozen=True)
class ReleaseDifference:
    """What differs between what was deployed after two releases, the old one first; `subjects` are
    those of commits that are in the cache; `authorities` those that certificates are trusted of."""

    numbers: tuple[int, int]
    services: Sequence[ServiceDifference]
    mesh: Mapping[str, Change]
    authorities: Change | None
    subjects: Mapping[str, str]

    @property
    def is_empty(self) -> bool:
        """Whether both are the same."""
        return not (self.services or self.mesh or self.authorities)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "from": self.numbers[0],
            "to": self.numbers[1],
            "services": [service.to_dict() for service in self.services],
            "mesh": {name: list(change) for name, change in self.mesh.items()},
            "authorities": list(self.authorities) if self.authorities else None,
            "subjects": dict(self.subjects),
        }


def history(workspace: Workspace, *, limit: int | None = None) -> History:
    """The newest `limit` releases and events, None: all.

    Raises:
        ConfigError: the ledger cannot be read.
    """
    pages = recording.ledger_of(workspace).read()
    known = _judged(workspace, pages)
    remarks = tuple(_remarks(workspace, pages, known))
    newest = tuple(reversed(known))
    return History(newest if limit is None else newest[:limit], remarks)


def show(workspace: Workspace, number: int) -> ReleaseDetail:
    """One release or event.

    Raises:
        UnknownReleaseError: there is none.
        ConfigError: the ledger, or the lock, cannot be read.
    """
    known = _judged(workspace, recording.ledger_of(workspace).read())
    entry = _find(workspace, known, number)
    return ReleaseDetail(entry, _lock_after(workspace, known, number))


def difference(workspace: Workspace, old: int, new: int) -> ReleaseDifference:
    """What differs between the releases `old` and `new`.

    Raises:
        UnknownReleaseError, ConfigError: as `show`.
    """
    known = entries(recording.ledger_of(workspace).read().lines)
    for number in (old, new):
        _find(workspace, known, number)
    before, after = (_lock_after(workspace, known, number) for number in (old, new))
    services = differences(before, after)
    commits = {sha for each in services for sha in each.changes.get("commit", ()) if sha}
    found = {sha: source_cache.subject_of(workspace.layout.cache, sha) for sha in sorted(commits)}
    subjects = {sha: subject for sha, subject in found.items() if subject}
    trusted = (_after(known, old, "authority"), _after(known, new, "authority"))
    authorities = trusted if None not in trusted and trusted[0] != trusted[1] else None
    return ReleaseDifference(
        (old, new), services, mesh_changes(before, after), authorities, subjects
    )


def list_lock(workspace: Workspace) -> Path | None:
    """The lock beside the list that was deployed last; None: there is none, or none of this project
    any more.

    Raises:
        ConfigError: the ledger cannot be read.
    """
    known = entries(recording.ledger_of(workspace).read().lines)
    said = (entry.facts.get("lock_file") for entry in reversed(known))
    for path in dict.fromkeys(Path(text) for text in said if text):
        with suppress(ConfigError):
            if lock_file.load_lock(path).project == workspace.project:
                return path
    return None


def _judged(workspace: Workspace, pages: Pages) -> list[LedgerEntry]:
    """The entries; a release without an end runs as long as its process holds the project."""
    known = entries(pages.lines)
    if all(entry.ended for entry in known):
        return known
    held = workspace_lock.held_by(workspace.directory)
    at_work = {held.pid} if held else set()
    return [
        entry if entry.ended or entry.facts.get("pid") not in at_work else entry.judged("running")
        for entry in known
    ]


def _remarks(workspace: Workspace, pages: Pages, known: Sequence[LedgerEntry]) -> Iterator[str]:
    path = recording.ledger_of(workspace).path
    for number in pages.torn:
        yield f"{path}:{number} is cut off: its writer was killed, or the disk was full"
    for entry in known:
        if not entry.ended and entry.verdict == "interrupted":
            yield (
                f"{entry.number} ({entry.kind}) never ended;"
                " the next command that changes the project closes it"
            )
    late = [n for n in notifications(known) if n.attempts and n.state != "delivered"]
    if late:
        numbers = ", ".join(str(each.entry.number) for each in late[-3:])
        yield (
            f"{late[-1].attempts[-1].get('to')} was not told of {numbers} ({late[-1].fault});"
            " `iac notifications` lists all, with --send it sends them at once"
        )
    here = recording.applied_digest(workspace)
    if all(entry.ended for entry in known) and recording.is_unrecorded(known, here):
        what = "another lock was applied" if here["lock"] else "all was destroyed"
        at = recording.state_changed_at(workspace) or "an unknown time"
        yield (
            f"{what} without a release, by {at}: by Terraform or cdktf alone, or by an earlier"
            " version of iac; the next command that changes the project records it"
        )


def _find(workspace: Workspace, known: Sequence[LedgerEntry], number: int) -> LedgerEntry:
    for entry in known:
        if entry.number == number:
            return entry
    raise UnknownReleaseError(
        f"project {workspace.project} has no release {number}",
        found=f"{known[0].number} to {known[-1].number}" if known else "no releases",
        next_step=f"iac releases --project {workspace.project} lists them",
    )


def _after(known: Sequence[LedgerEntry], number: int, fact: str) -> Any:
    """What the newest entry up to `number` says of `fact`: an event leaves it as it was."""
    said = (entry.facts for entry in reversed(known) if entry.number <= number)
    return next((facts[fact] for facts in said if fact in facts), None)


def _lock_after(workspace: Workspace, known: Sequence[LedgerEntry], number: int) -> LockFile | None:
    digest = _after(known, number, "lock")
    return recording.kept_lock(workspace, digest) if digest is not None else None


def lock_path(workspace: Workspace) -> Path:
    """`list_lock`, else the lock of slugs alone."""
    return list_lock(workspace) or workspace.directory / SLUGS_LOCK
