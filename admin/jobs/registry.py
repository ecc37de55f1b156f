"""Every known job, in memory and on disk. Threads may share it."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from admin.actor import Actor
from admin.jobs import clock
from admin.jobs.errors import UnknownJobError
from admin.jobs.job import Job, JobRequest
from admin.jobs.store import Store

KEPT = 200
"""Ended jobs kept per project."""

_log = logging.getLogger("iac.admin.jobs")


class Registry:
    """The jobs of `store`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._guard = threading.RLock()
        self._jobs: dict[str, Job] = {}

    def __len__(self) -> int:
        """How many jobs there are."""
        return len(self._jobs)

    def load(self) -> list[Job]:
        """Take everything up from disk; those that have not ended, oldest first."""
        self._store.open()
        for job_id in self._store.ids():
            job = self._store.load(job_id)
            if job and job.id == job_id:
                self._jobs[job_id] = job
        return [job for job in self._jobs.values() if not job.ended]

    def next_id(self) -> str:
        """An id for the next job."""
        with self._guard:
            return clock.new_id(max(self._jobs, default=None))

    def add(self, job: Job, first_event: str) -> None:
        """Remember a new job.

        Raises:
            FileExistsError: the id is taken.
            OSError: it cannot be stored.
        """
        with self._guard:
            self._store.create(job, first_event)
            self._jobs[job.id] = job

    def update(self, job: Job) -> None:
        """Remember what became of a job.

        A disk that is full loses nothing for good: the end of a job is in its event log.
        """
        with self._guard:
            self._jobs[job.id] = job
            try:
                self._store.save(job)
            except OSError as error:
                _log.warning("job %s cannot be stored: %s", job.id, error)

    def change(self, job_id: str, **facts: Any) -> Job:
        """The job with other facts; one that has ended stays as it is.

        Raises:
            UnknownJobError: there is none of this id.
        """
        with self._guard:
            job = self.get(job_id)
            changed = job if job.ended else replace(job, **facts)
            if changed != job:
                self.update(changed)
        return changed

    def get(self, job_id: str) -> Job:
        """A job.

        Raises:
            UnknownJobError: there is none of this id.
        """
        with self._guard:
            job = self._jobs.get(job_id)
        if job is None:
            raise UnknownJobError(job_id)
        return job

    def newest_first(self) -> Iterator[Job]:
        """All jobs as they are now."""
        with self._guard:
            found = sorted(self._jobs.items(), reverse=True)
        return (job for _, job in found)

    def with_key(self, key: Mapping[str, str] | None) -> Job | None:
        """The job that came with this key from this caller; None if `key` is."""
        return next((j for j in self.newest_first() if key and j.idempotency == key), None)

    def prune(self, project: str) -> None:
        """Forget the jobs of a project that ended first, beyond those that are kept."""
        with self._guard:
            ended = [j for j in self.newest_first() if j.ended and j.request.project == project]
            ended.sort(key=lambda job: job.finished_at or "", reverse=True)
            for job in ended[KEPT:]:
                del self._jobs[job.id]
                self._store.remove(job.id)


def idempotency(actor: Actor, key: str) -> dict[str, str]:
    """What makes a key one caller's own."""
    return {"actor": f"{actor.kind}:{actor.id}", "key": key}


def same_request(one: JobRequest, other: JobRequest) -> bool:
    """Whether two requests ask for the same, whether or not one went through JSON."""
    return _canonical(one) == _canonical(other)


def _canonical(request: JobRequest) -> str:
    return json.dumps(vars(request), sort_keys=True)
