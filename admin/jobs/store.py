"""Jobs on disk: a folder each, with ``job.json`` and the event log. One server writes here.

``job.json`` has one writer, the server; ``events.jsonl`` says how the job ended. So nothing that a
worker does can be lost to a server that writes at the same moment, and a job whose end was logged
has ended, whether or not ``job.json`` says so yet.
"""

from __future__ import annotations

import errno
import json
import shutil
from contextlib import suppress
from pathlib import Path

from admin.jobs import clock
from admin.jobs.job import Job
from iac_wrapper.files.atomic import write_text

_NEW = ".new-"
_OLD = ".old-"


class Store:
    """The folder of all jobs of a project folder; 0700, made when the first job comes."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def open(self) -> None:
        """Make the folder, and clear away what a killed server left half made or half removed."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.directory.chmod(0o700)
        for pattern in (f"{_NEW}*", f"{_OLD}*"):
            for path in self.directory.glob(pattern):
                shutil.rmtree(path, ignore_errors=True)

    def ids(self) -> list[str]:
        """Ids of the stored jobs, oldest first."""
        return sorted(p.name for p in self.directory.glob("*") if clock.is_id(p.name))

    def folder(self, job_id: str) -> Path:
        """Where a job lies."""
        return self.directory / job_id

    def events(self, job_id: str) -> Path:
        """A job's event log."""
        return events_path(self.folder(job_id))

    def create(self, job: Job, first_event: str) -> None:
        """Store a new job with the first line of its log, both or neither.

        Raises:
            FileExistsError: the id is taken.
            OSError: it cannot be written.
        """
        staging = self.directory / (_NEW + job.id)
        staging.mkdir(mode=0o700)
        try:
            write_text(events_path(staging), first_event, mode=0o600)
            _write(staging, job)
            staging.rename(self.folder(job.id))
        except OSError as error:
            shutil.rmtree(staging, ignore_errors=True)
            if error.errno in (errno.EEXIST, errno.ENOTEMPTY):
                raise FileExistsError(job.id) from error
            raise

    def save(self, job: Job) -> None:
        """Replace a job's record."""
        _write(self.folder(job.id), job)

    def load(self, job_id: str) -> Job | None:
        """A stored job; None if its record cannot be read."""
        return read_job(self.folder(job_id))

    def remove(self, job_id: str) -> None:
        """Forget a job; its name goes first."""
        away = self.directory / (_OLD + job_id)
        with suppress(OSError):
            self.folder(job_id).rename(away)
        shutil.rmtree(away, ignore_errors=True)


def events_path(folder: Path) -> Path:
    """The event log in a job's folder."""
    return folder / "events.jsonl"


def read_job(folder: Path) -> Job | None:
    """The record in a job's folder; None if it cannot be read."""
    try:
        return Job.from_record(json.loads((folder / "job.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _write(folder: Path, job: Job) -> None:
    write_text(folder / "job.json", json.dumps(job.to_record(), indent=1) + "\n", mode=0o600)
