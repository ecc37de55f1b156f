"""Runs scheduled commands that are due: each time once, none of them twice at once.

Whoever looks first takes an entry's lock and notes the time as settled before its command starts.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from iac_wrapper.errors import CommandError, IacError
from iac_wrapper.files import file_lock
from iac_wrapper.model import one_off, schedule
from iac_wrapper.model.one_off import Record
from iac_wrapper.model.schedule import Entry, Result, Turn
from iac_wrapper.operations import one_offs, run, schedules
from iac_wrapper.operations.run import Captured
from iac_wrapper.operations.workspace import Workspace

_AT_ONCE = 32
"""Commands that run at the same time; more wait for one of these to end."""


@dataclass
class Run:
    """A due entry that is ours to run, by the lock on it, and what became of it."""

    workspace: Workspace
    entry: Entry
    result: Result
    lock: int = field(repr=False)

    def run(self) -> None:
        """Run the command to its end, and record how that was."""
        workspace, entry = self.workspace, self.entry
        workspace.step(f"Running {entry.key} of {workspace.project}: {entry.command}")
        try:
            run.tidy(workspace)  # first: if its last run was left alone, it ends now
            captured = run.capture(
                workspace,
                one_offs.recorded(workspace, entry.service),
                one_off.shell_line(entry.command),
                "schedule",
                limit=workspace.settings.schedule_timeout,
                begun=self._begun,
            )
            self._note(self._ended(captured))
        except IacError as error:
            self._note(replace(self.result, error=error.message))
        except BaseException as error:
            self._note(replace(self.result, error=f"{type(error).__name__}: {error}"))
            raise
        finally:
            file_lock.release(self.lock)
        workspace.progress(f"{entry.key}: {self.result.text}")

    def stop(self) -> None:
        """End the command, if it has begun."""
        if self.result.run:
            with suppress(CommandError):
                one_offs.stop(self.workspace, self.result.run)

    def _begun(self, record: Record) -> None:
        self._note(replace(self.result, run=record.id, started=record.started))

    def _ended(self, captured: Captured) -> Result:
        record = captured.record
        limit = self.workspace.settings.schedule_timeout
        late = f"took longer than {limit} s (IAC_SCHEDULE_TIMEOUT)"
        return replace(
            self.result,
            ended=record.ended,
            exit_code=record.exit_code,
            error=late if captured.timed_out else None,
        )

    def _note(self, result: Result) -> None:
        self.result = result
        with suppress(FileNotFoundError), schedules.changing(self.workspace) as pasts:
            if past := pasts.get(self.entry.key):  # else it was removed meanwhile
                pasts[self.entry.key] = replace(past, last=result)


def run_due(workspaces: Sequence[Workspace]) -> list[Run]:
    """Run what is due in some projects, and what gets due while that runs; wait for its end.

    Returns:
        What was run, with its results.
    """
    runs: list[Run] = []
    futures: list[Future[None]] = []
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        try:
            while True:
                for workspace in workspaces:
                    taken = _take_due(workspace, datetime.now(UTC))
                    runs += taken
                    futures += [pool.submit(each.run) for each in taken]
                rest = 60 - datetime.now(UTC).timestamp() % 60
                if not wait(futures, timeout=rest).not_done:
                    break
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            while not all(future.done() for future in futures):
                for each in runs:
                    each.stop()
                wait(futures, timeout=0.5)
            raise
    for future in futures:
        future.result()
    return runs


def to_look_at(workspace: Workspace, now: datetime) -> list[Entry]:
    """What is due or was passed over, or is not on record yet; nothing while somebody holds the
    project: that is said, and the next look runs it."""
    pasts = schedules.load(workspace)
    states = [
        state
        for state in schedules.states(workspace, now)
        if not state.running
        and (schedule.turn(state.entry, state.past, now) != Turn() or state.entry.key not in pasts)
    ]
    if states and (holder := states[0].held_by):
        waiting = ", ".join(state.entry.key for state in states)
        workspace.progress(f"{waiting} of {workspace.project} waits for {holder}")
        return []
    return [state.entry for state in states]


def _take_due(workspace: Workspace, now: datetime) -> list[Run]:
    try:
        found = to_look_at(workspace, now)
    except IacError as error:  # other projects have theirs
        workspace.warn(f"project {workspace.project}: {error.message}")
        return []
    taken = (_take(workspace, entry, now) for entry in found)
    return [each for each in taken if each]


def _take(workspace: Workspace, entry: Entry, now: datetime) -> Run | None:
    """An entry to run; None if it is not due, or somebody else runs it."""
    lock = schedules.take(workspace, entry)
    if lock is None:
        return None
    due = None
    try:
        with suppress(FileNotFoundError):
            due = _settle(workspace, entry, now)
    finally:
        if due is None:
            file_lock.release(lock)
    return Run(workspace, entry, Result(due, now), lock) if due else None


def _settle(workspace: Workspace, entry: Entry, now: datetime) -> datetime | None:
    """Note what is missed and what is run from now on; return the time of the latter."""
    with schedules.changing(workspace) as pasts:
        past = schedule.known(entry, pasts.get(entry.key), now)
        turn = schedule.turn(entry, past, now)
        if turn.missed:
            past = replace(past, settled=turn.missed, missed=turn.missed)
            workspace.warn(f"{entry.key} was not run at {schedules.time_text(turn.missed)}")
        if turn.run:
            result = Result(turn.run, now)
            past = replace(past, settled=turn.run, missed=turn.missed, last=result)
        pasts[entry.key] = past
    return turn.run
