"""What is known of scheduled commands: when each is due, how it ended last, what went wrong.

The record is written by whoever runs them (`run_schedule`) and by every deploy.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from iac_wrapper.adapters import workspace_lock
from iac_wrapper.adapters.workspace_lock import Holder
from iac_wrapper.files import file_lock
from iac_wrapper.files.atomic import write_text
from iac_wrapper.model import schedule
from iac_wrapper.model.lock import LockFile
from iac_wrapper.model.schedule import Entry, Past
from iac_wrapper.operations.workspace import Workspace

_RECORD_LOCK = "record"
"""Beside the locks of entries, whose names have a dot."""


@dataclass(frozen=True)
class State:
    """An entry as it is at `now` (UTC); `held_by` is who keeps it waiting."""

    entry: Entry
    past: Past
    running: bool
    held_by: Holder | None
    now: datetime

    @property
    def next_time(self) -> datetime | None:
        """When its command is due next."""
        return self.entry.next_time(self.now)

    @property
    def failed(self) -> bool:
        """Whether the last run is over and did not end well."""
        return bool(self.past.last and not self.past.last.good and not self.running)

    @property
    def overdue(self) -> datetime | None:
        """The time that nobody ran its command for, though it is due."""
        return None if self.running else schedule.overdue(self.entry, self.past, self.now)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a person should know, in sentences."""
        found, key, last = [], self.entry.key, self.past.last
        if self.failed and last:
            logs = f"; iac logs {last.run}" if last.run else ""
            found.append(f"scheduled {key} failed, due {time_text(last.due)}: {last.text}{logs}")
        if self.overdue:
            nobody = "start `iac admin serve` or the timer iac-schedule, which look each minute"
            why = f"it waits for {self.held_by}" if self.held_by else nobody
            found.append(f"scheduled {key} is due since {time_text(self.overdue)}: {why}")
        elif self.past.missed:
            found.append(
                f"scheduled {key} was not run at {time_text(self.past.missed)}: nobody did within"
                " an hour, or an earlier run was still going"
            )
        return tuple(found)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        last = self.past.last
        return {
            "service": self.entry.service,
            "name": self.entry.name,
            "when": self.entry.when,
            "command": self.entry.command,
            "next": self.next_time and self.next_time.isoformat(),
            "running": self.running,
            "last": last and {**last.to_dict(), "seconds": last.seconds, "good": last.good},
            "missed": self.past.missed and self.past.missed.isoformat(),
            "overdue": self.overdue and self.overdue.isoformat(),
            "warnings": list(self.warnings),
        }


def time_text(time: datetime) -> str:
    """A time for people."""
    return f"{time:%Y-%m-%d %H:%M} UTC"


def entries(lock: LockFile) -> list[Entry]:
    """Every scheduled command, by service and name."""
    return [
        Entry(app.name, name, app.options.schedule[name])
        for app in lock.apps
        for name in sorted(app.options.schedule)
    ]


def states(workspace: Workspace, now: datetime | None = None) -> list[State]:
    """Every scheduled command of what is deployed; none if nothing is."""
    now = now or datetime.now(UTC)
    lock = workspace.applied_lock()
    found = entries(lock) if lock else []
    if not found:
        return []
    pasts, holder = load(workspace), workspace_lock.held_by(workspace.directory)

    def state(entry: Entry) -> State:
        past = schedule.known(entry, pasts.get(entry.key), now)
        return State(entry, past, _is_running(workspace, entry, past), holder, now)

    return [state(entry) for entry in found]


def warn(workspace: Workspace) -> None:
    """Say which commands failed, were missed or are overdue."""
    for state in states(workspace):
        for text in state.warnings:
            workspace.warn(text)


def keep(workspace: Workspace, lock: LockFile) -> None:
    """Forget what is not in `lock`, and note from when on what is new in it is known."""
    found = entries(lock)
    if not found and not workspace.layout.schedule(workspace.project).exists():
        return
    now = datetime.now(UTC)
    with changing(workspace) as pasts:
        before = dict(pasts)
        pasts.clear()
        for entry in found:
            past = before.get(entry.key)
            new = Past(entry.when, now, past.last if past else None)
            pasts[entry.key] = past if past and past.when == entry.when else new


def load(workspace: Workspace) -> dict[str, Past]:
    """What is recorded, by the key of an entry; what cannot be read is none."""
    try:
        text = workspace.layout.schedule(workspace.project).read_text(encoding="utf-8")
        return {key: Past.from_dict(data) for key, data in json.loads(text).items()}
    except (OSError, KeyError, TypeError, AttributeError, ValueError):
        return {}


@contextmanager
def changing(workspace: Workspace) -> Iterator[dict[str, Past]]:
    """The record, to be changed in a block by nobody else at that time.

    Raises:
        FileNotFoundError: the project is gone.
    """
    folder = workspace.layout.schedule_locks(workspace.project)
    folder.mkdir(exist_ok=True, mode=0o700)
    with file_lock.hold(os.open(folder / _RECORD_LOCK, _LOCK, 0o600)):
        pasts = load(workspace)
        before = dict(pasts)
        yield pasts
        if pasts != before:
            data = {key: past.to_dict() for key, past in pasts.items()}
            text = json.dumps(data, indent=2, sort_keys=True) + "\n"
            write_text(workspace.layout.schedule(workspace.project), text, mode=0o600)


_LOCK = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


def take(workspace: Workspace, entry: Entry) -> int | None:
    """The lock of who runs an entry, to be released; None: it is running, or the project gone."""
    folder = workspace.layout.schedule_locks(workspace.project)
    try:
        folder.mkdir(exist_ok=True, mode=0o700)
        return file_lock.acquire(folder / entry.key)
    except FileNotFoundError:
        return None


def _is_running(workspace: Workspace, entry: Entry, past: Past) -> bool:
    if past.last is None or past.last.ended or past.last.error:
        return False
    lock = take(workspace, entry)
    if lock is not None:
        file_lock.release(lock)
    return lock is None
