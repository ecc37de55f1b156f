"""Starts jobs: those that got their project's lock at once, and those that wait for it.

First come, first served in each project; who waited too long fails as if the project were busy.
"""

from __future__ import annotations

import threading
from collections import deque

from admin.jobs import clock, outcome, spawn, worker_lock
from admin.jobs.job import Job
from admin.jobs.registry import Registry
from admin.jobs.store import Store
from admin.jobs.ticker import Ticker
from admin.jobs.watch import Watch
from admin.jobs.worker import caller_of, command_of
from iac_wrapper.adapters import workspace_lock
from iac_wrapper.adapters.workspace_lock import Lock
from iac_wrapper.errors import BusyError, CommandError
from iac_wrapper.files.layout import Layout


class Dispatch:
    """The queues of all projects of `layout`."""

    def __init__(self, layout: Layout, registry: Registry, store: Store, watch: Watch) -> None:
        self._layout = layout
        self._registry = registry
        self._store = store
        self._watch = watch
        self._guard = threading.Lock()
        self._queues: dict[str, deque[str]] = {}

    def lock(self, draft: Job) -> Lock:
        """The project's lock for a job that comes now.

        Raises:
            BusyError: it is held, or others wait for it already; says who and since when.
            CommandError: the project's folder cannot be used.
        """
        project = draft.request.project
        first = self._first(project)
        if first:
            waiting = self._registry.get(first)
            error = workspace_lock.busy(self._layout.project(project))
            since = f"`{command_of(waiting)}` by {caller_of(waiting)} since {waiting.created_at}"
            error.found = f"{error.found}; waiting for it: {since}"
            raise error
        return self._acquire(draft, f"iac admin: {draft.request.kind}")

    def enqueue(self, job: Job) -> None:
        """Let a job wait for its project."""
        with self._guard:
            self._queues.setdefault(job.request.project, deque()).append(job.id)

    def withdraw(self, job: Job) -> bool:
        """Take a job out of its queue; False if it is not in one (any more)."""
        with self._guard:
            queue = self._queues.get(job.request.project, deque())
            if job.id not in queue:
                return False
            queue.remove(job.id)
            return True

    def launch(self, job: Job, lock: Lock, ticker: Ticker) -> None:
        """Start the worker of a job that got the lock."""
        folder = self._store.folder(job.id)
        try:
            lock.note(command_of(job), by=caller_of(job))
            spawn.spawn(folder, lock, ticker.wake)
        except OSError as error:
            lock.release()
            failure = CommandError(
                "the worker cannot be started",
                found=str(error),
                next_step="make room for a process on the server's machine, then send it again",
            )
            self._watch.conclude(job.id, outcome.failed(failure))
            return
        self._watch.started(job)
        if self._registry.get(job.id).cancel_requested:  # while there was nobody to tell
            worker_lock.interrupt(folder)
        ticker.wake()

    def look(self, ticker: Ticker) -> None:
        """Start what can start now, and let go what waited too long."""
        for project in tuple(self._queues):
            self._expire(project)
            first = self._first(project)
            if first:
                self._try(self._registry.get(first), ticker)

    def _try(self, job: Job, ticker: Ticker) -> None:
        try:
            lock = self._acquire(job, command_of(job))
        except BusyError:
            return
        except CommandError as error:
            if self.withdraw(job):
                self._watch.conclude(job.id, outcome.failed(error))
            return
        if not self.withdraw(job):  # a cancel was quicker
            lock.release()
            return
        running = self._registry.change(job.id, status="running", started_at=clock.now())
        self.launch(running, lock, ticker)

    def _acquire(self, job: Job, command: str) -> Lock:
        directory = self._layout.project(job.request.project)
        try:
            return workspace_lock.acquire(directory, command, by=caller_of(job))
        except OSError as error:
            raise CommandError(
                "the project's folder cannot be used",
                where=str(directory),
                found=str(error),
                expected="a folder that belongs to the server's user",
                next_step="give it to that user (chown -R), then send the request again",
            ) from error

    def _expire(self, project: str) -> None:
        with self._guard:
            waiting = [self._registry.get(job_id) for job_id in self._queues[project]]
        for job in waiting:
            if job.wait_until and clock.is_past(job.wait_until) and self.withdraw(job):
                busy = workspace_lock.busy(self._layout.project(project))
                self._watch.conclude(job.id, outcome.failed(busy))

    def _first(self, project: str) -> str | None:
        with self._guard:
            return next(iter(self._queues.get(project, ())), None)
