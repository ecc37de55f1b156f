"""The folder of a one-off: its record, what it printed, and the lock of who waits for it.

The kernel frees the lock when that process ends, however it ends: a one-off whose lock is free
belongs to nobody any more.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from iac_wrapper.files import file_lock
from iac_wrapper.files.atomic import write_text
from iac_wrapper.model import one_off
from iac_wrapper.model.one_off import Purpose, Record
from iac_wrapper.operations.workspace import Workspace

KEPT = 20
"""Ended runs of a service, and of each line of its schedule, whose logs are kept, the newest."""


@dataclass(frozen=True)
class RunFolder:
    """The folder at `path`, whose name is the id."""

    path: Path

    @property
    def log(self) -> Path:
        """What it printed, secrets masked."""
        return self.path / "log"

    def take(self) -> int | None:
        """The lock, as an open file to close; None if somebody waits for the one-off."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        return file_lock.acquire(self.path / "lock")

    def save(self, record: Record) -> None:
        """Write the record; not if the project is gone meanwhile."""
        if self.path.is_dir():
            text = json.dumps(record.to_dict(), indent=2) + "\n"
            write_text(self.path / "run.json", text, mode=0o600)

    def load(self) -> Record | None:
        """The record; None if there is none that can be read."""
        try:
            text = (self.path / "run.json").read_text(encoding="utf-8")
            return Record.from_dict(json.loads(text))
        except (OSError, KeyError, TypeError, ValueError):
            return None

    def remove(self) -> None:
        """Forget the one-off."""
        shutil.rmtree(self.path, ignore_errors=True)


def folder(workspace: Workspace, identifier: str) -> RunFolder:
    """The folder of a one-off, which need not be there."""
    return RunFolder(workspace.layout.runs(workspace.project) / identifier)


def begin(
    workspace: Workspace, service: str, command: Sequence[str], purpose: Purpose
) -> tuple[Record, int]:
    """A new one-off and the lock on it: it is ours until that file is closed."""
    record = Record(
        one_off.new_id(service), service, tuple(command), purpose, started=datetime.now(UTC)
    )
    own = folder(workspace, record.id)
    lock = own.take()
    assert lock is not None  # noqa: S101 - nobody else knows the id
    own.save(record)
    return record, lock


def records(workspace: Workspace) -> list[Record]:
    """Every one-off that there is a record of, the oldest first."""
    found = (RunFolder(path).load() for path in workspace.layout.runs(workspace.project).glob("*"))
    return sorted((record for record in found if record), key=lambda record: record.started)


def prune(workspace: Workspace, latest: Record) -> None:
    """Remove the folders of ended one-offs like `latest` but the newest."""
    ended = [r for r in records(workspace) if _kind(r) == _kind(latest) and r.ended]
    for record in ended[:-KEPT]:
        folder(workspace, record.id).remove()


def surplus(workspace: Workspace) -> list[Record]:
    """Ended one-offs, but for the newest of its kind: that one tells how it went last."""
    ended = [record for record in records(workspace) if record.ended]
    newest = {_kind(record): record.id for record in ended}
    return [record for record in ended if record.id not in newest.values()]


def _kind(record: Record) -> tuple[object, ...]:
    """What runs each minute must not push out what runs each night, or a person's."""
    scheduled = record.purpose == "schedule"
    return (record.service, record.command) if scheduled else (record.service,)


def let_go(lock: int) -> None:
    """Close the open file of a lock that another process may hold as well."""
    with suppress(OSError):
        os.close(lock)
