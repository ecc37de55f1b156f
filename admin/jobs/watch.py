"""Follows every job that has not ended, until it has; a worker that died gets its last event here.

It must not know how jobs are started.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from weakref import WeakValueDictionary

from admin.jobs import outcome, worker_lock
from admin.jobs.event_log import EventLog
from admin.jobs.job import EventEntry, Job
from admin.jobs.log_writer import LogWriter
from admin.jobs.outcome import Outcome
from admin.jobs.registry import Registry
from admin.jobs.store import Store
from admin.scrub import scrub
from iac_wrapper.model.redact import Redactor

_log = logging.getLogger("iac.admin.jobs")


class Watch:
    """The live jobs of `registry`; `on_change` is told when one starts and when one has ended."""

    def __init__(
        self,
        registry: Registry,
        store: Store,
        redact: Redactor,
        on_change: Callable[[Job], None],
    ) -> None:
        self._registry = registry
        self._store = store
        self._redact = redact
        self._on_change = on_change
        self._guard = threading.RLock()
        self._live: dict[str, EventLog] = {}
        self._workers: set[str] = set()
        self._stuck: set[str] = set()
        self._logs: WeakValueDictionary[str, EventLog] = WeakValueDictionary()
        self._changes: deque[Job] = deque()

    @property
    def busy(self) -> bool:
        """Whether there is anything to look at."""
        return bool(self._live or self._changes)

    def started(self, job: Job) -> None:
        """A job got its worker, of this server or of an earlier one."""
        with self._guard:
            self._workers.add(job.id)
            self._changes.append(job)

    def log(self, job_id: str) -> EventLog:
        """The events of a job, one object for all its readers; followed until the job has ended.

        Raises:
            UnknownJobError: no such job.
        """
        with self._guard:
            job, path = self._registry.get(job_id), self._store.events(job_id)
            log = self._logs.get(job_id)
            if log is None and job.ended:
                log = self._logs[job_id] = EventLog(path, ended=True)
            elif log is None:
                log = EventLog(path, on_finished=lambda last: self._ended(job_id, last))
                self._live[job_id] = self._logs[job_id] = log
        return log

    def look(self) -> None:
        """Read what came, notice who died, and tell of it."""
        with self._guard:
            live = list(self._live.items())
        for job_id, log in live:
            try:
                self._look_at(job_id, log)
            except OSError as error:  # a full disk, a folder removed by hand: once is enough
                if job_id not in self._stuck:
                    _log.warning("job %s cannot be followed: %s", job_id, error)
                self._stuck.add(job_id)
        self._tell()

    def bury(self, job_id: str) -> None:
        """Give a job whose worker is gone its last event, unless it has one."""
        mine = worker_lock.take(self._store.folder(job_id))
        if mine is None:
            return
        try:
            log = self.log(job_id)
            log.poll()
            if not log.is_ended:
                requested = self._registry.get(job_id).cancel_requested
                self.conclude(job_id, outcome.died(requested=requested))
        finally:
            os.close(mine)

    def conclude(self, job_id: str, result: Outcome) -> None:
        """Write the last event of a job that has no worker."""
        writer = LogWriter(self._store.events(job_id))
        try:
            data = scrub(result.to_data(), self._redact)
            writer.append("finished", self._redact(result.message), data)
            writer.sync()
        finally:
            writer.close()
        self.log(job_id).poll()

    def close(self) -> None:
        """Let all readers go."""
        self._tell()
        with self._guard:
            logs = list(self._logs.values())
        for log in logs:
            log.close()

    def _look_at(self, job_id: str, log: EventLog) -> None:
        # Only where a worker was given: asking would be in the way of the one that starts.
        given = job_id in self._workers
        alive = given and worker_lock.is_held(self._store.folder(job_id))
        log.poll()
        if given and not alive and not log.is_ended:
            self.bury(job_id)

    def _ended(self, job_id: str, last: EventEntry) -> None:
        """Note the end, before any reader learns of it."""
        with self._guard:
            job = outcome.applied(self._registry.get(job_id), last)
            self._registry.update(job)
            self._live.pop(job_id, None)
            self._workers.discard(job_id)
            self._stuck.discard(job_id)
            self._changes.append(job)
        self._registry.prune(job.request.project)

    def _tell(self) -> None:
        while self._changes:
            job = self._changes.popleft()
            try:
                self._on_change(job)
            except Exception:
                _log.exception("telling of job %s failed", job.id)
