"""A project folder in which real workers run against an engine double, and can be held up.

Workers read the folder's `.env`: as long as that is a named pipe without a writer, they block
there, right after they said that they began.
"""

from __future__ import annotations

import errno
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from admin.actor import Actor
from admin.jobs import worker_lock
from admin.jobs.job import EventEntry, Job, JobRequest
from admin.jobs.jobs import Jobs
from iac_wrapper import settings
from iac_wrapper.files.layout import Layout
from tests.support.docker_daemon import Daemon, daemon

ALICE = Actor("user", "6c1f9a52-0000-4000-8000-000000000001", "alice@example.org")
DESTROY = JobRequest("destroy", "demo")
SECONDS = 15.0
"""Longest wait for what takes one: a worker starts in about half a second."""


class Lab:
    def __init__(self, root: Path, engine: Daemon) -> None:
        self.layout = Layout(root)
        self.engine = engine
        self.changes: list[tuple[str, str]] = []
        self._settings = settings.load_settings(root)
        self._opened: list[Jobs] = []

    def open(self, on_change: Callable[[Job], None] | None = None) -> Jobs:
        """A server's jobs, recovered."""
        jobs = self.make(on_change)
        jobs.recover()
        return jobs

    def make(self, on_change: Callable[[Job], None] | None = None) -> Jobs:
        note = on_change or (lambda job: self.changes.append((job.id, job.status)))
        jobs = Jobs(self.layout, self._settings, on_change=note)
        self._opened.append(jobs)
        return jobs

    def block(self) -> None:
        """Hold up every worker that starts from now on."""
        os.mkfifo(self.layout.root / ".env")

    def let_go(self) -> None:
        """Let one worker that is held up go on."""
        path = self.layout.root / ".env"
        until(lambda: _opens(path))

    def folder(self, job: Job) -> Path:
        return self.layout.data / "jobs" / job.id

    def worker(self, job: Job) -> int:
        """The process of a job's worker."""
        return int(worker_lock.path_in(self.folder(job)).read_text())

    def close(self) -> None:
        for jobs in self._opened:
            jobs.close()
        for path in self.layout.data.glob("jobs/*/worker.lock"):
            if worker_lock.is_held(path.parent):
                os.killpg(int(path.read_text()), signal.SIGKILL)


@contextmanager
def lab(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    with tempfile.TemporaryDirectory() as folder, daemon(Path(folder) / "docker.sock") as engine:
        monkeypatch.setenv("DOCKER_HOST", engine.host)
        made = Lab(root, engine)
        try:
            yield made
        finally:
            made.close()


def ended(jobs: Jobs, job: Job) -> Job:
    """The job once its readers have seen the last event."""
    events(jobs, job)
    return jobs.get(job.id)


def events(jobs: Jobs, job: Job, kind: str = "finished") -> list[EventEntry]:
    """A job's events up to the first of `kind`, as a reader gets them."""
    log, found = jobs.events(job.id), list[EventEntry]()
    deadline = time.monotonic() + SECONDS
    while not any(entry.kind == kind for entry in found):
        assert time.monotonic() < deadline, [entry.message for entry in found]
        found += log.wait(len(found), 0.5)[0]
    return found


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _opens(path: Path) -> bool:
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
    except OSError as error:
        if error.errno != errno.ENXIO:  # nobody reads yet
            raise
        return False
    return True
