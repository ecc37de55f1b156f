"""Jobs: deploys, plans and destroys that run in processes of their own.

The server takes the project's lock in the request and hands it to a worker process, which outlives
the server: the next one finds it at work and goes on watching. A job that may wait for the lock is
queued. How a job ended is what its event log says; a worker that died without a word gets its last
event from the server.

One server per project folder; `recover` sees to that. A job whose worker was never started, because
the server was killed at that moment, is queued again by the next one if it was allowed to wait and
still is; else it counts as interrupted: its caller may have given up.
"""

from __future__ import annotations

import builtins
import threading
from collections.abc import Callable
from dataclasses import replace

from admin.actor import Actor
from admin.jobs import clock, outcome, worker_lock
from admin.jobs.dispatch import Dispatch
from admin.jobs.errors import AlreadyEndedError, KeyReusedError
from admin.jobs.event_log import EventLog
from admin.jobs.job import EventEntry, Job, JobRequest
from admin.jobs.log_writer import encode
from admin.jobs.registry import Registry, idempotency, same_request
from admin.jobs.server_lock import ServerLock
from admin.jobs.store import Store
from admin.jobs.ticker import Ticker
from admin.jobs.watch import Watch
from iac_wrapper.adapters import workspace_lock
from iac_wrapper.adapters.workspace_lock import Lock
from iac_wrapper.errors import BusyError, CommandError
from iac_wrapper.files.layout import Layout
from iac_wrapper.model.redact import Redactor
from iac_wrapper.settings import Settings, check_project


class Jobs:
    """The jobs of the project folder `layout`.

    `on_change` is called with a job when it starts (or is found at work) and when it has ended,
    from one thread and in order; also for what ended while no server ran.
    """

    def __init__(
        self,
        layout: Layout,
        settings: Settings,
        *,
        on_change: Callable[[Job], None] = lambda _: None,
    ) -> None:
        self._layout = layout
        self._redact = Redactor(settings.secrets)
        self._store = Store(layout.jobs)
        self._server = ServerLock(self._store.directory)
        self._registry = Registry(self._store)
        self._watch = Watch(self._registry, self._store, self._redact, on_change)
        self._dispatch = Dispatch(layout, self._registry, self._store, self._watch)
        self._ticker = Ticker(self._tick)
        self._guard = threading.Lock()
        self._open = False

    def claim(self) -> None:
        """Be the one server of this project folder.

        Raises:
            BusyError: another one is.
        """
        self._server.take()

    def recover(self) -> builtins.list[Job]:
        """Take up what an earlier server left, and begin. Call it once.

        Returns:
            The jobs that were interrupted since.

        Raises:
            BusyError: another server works on this project folder.
        """
        self.claim()
        unended = self._registry.load()
        for job in unended:
            self._take_up(job)
        self._open = True
        self._ticker.start()
        found = [self.get(job.id) for job in unended]
        return [job for job in found if job.status == "interrupted"]

    def submit(  # noqa: PLR0913 - what a caller chooses, by keyword
        self,
        request: JobRequest,
        actor: Actor,
        *,
        wait: float = 0.0,
        key: str | None = None,
        resumes: str | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> tuple[Job, bool]:
        """Start a job, or queue it for at most `wait` seconds if its project is busy.

        Args:
            request: what to do.
            actor: for whom.
            wait: seconds; 0 does not queue.
            key: makes a repeated call harmless: it gets the job of the first one.
            resumes: id of the job that this one does again.
            check: called before a new job is made; what it raises is raised here.

        Returns:
            The job, and True if it is the one of an earlier call with the same key.

        Raises:
            BusyError: the project is busy and `wait` is 0 (says who and since when), or the server
                is stopping.
            KeyReusedError: the key came with another request before.
            CommandError: the job cannot be stored, or the project's folder not be used.
        """
        check_project(request.project, where="/project")
        draft = Job(
            id="",
            request=request,
            actor=actor.to_dict(),
            status="queued",
            created_at="",
            wait_until=clock.later(wait) if wait > 0 else None,
            resumes=resumes,
            idempotency=idempotency(actor, key) if key else None,
        )
        earlier = self._earlier(draft)
        if earlier:
            return earlier, True
        check()  # may read folders that hang: not under the guard
        with self._guard:
            earlier = self._earlier(draft)  # the same call may have come meanwhile
            if earlier:
                return earlier, True
            job, lock = self._admit(draft)
        if lock:
            self._dispatch.launch(job, lock, self._ticker)
        self._watch.log(job.id).poll()
        self._ticker.wake()
        return self.get(job.id), False

    def get(self, job_id: str) -> Job:
        """A job.

        Raises:
            UnknownJobError: no such job.
        """
        return self._registry.get(job_id)

    def list(
        self,
        *,
        project: str | None = None,
        status: str | None = None,
        limit: int = 50,
        before: str | None = None,
    ) -> builtins.list[Job]:
        """Jobs, newest first: at most `limit`, older than the job `before`."""
        found = [
            job
            for job in self._registry.newest_first()
            if (project is None or job.request.project == project)
            and (status is None or job.status == status)
            and (before is None or job.id < before)
        ]
        return found[:limit]

    def running(self) -> builtins.list[Job]:
        """The jobs that are at work."""
        return self.list(status="running", limit=len(self._registry))

    def cancel(self, job_id: str) -> Job:
        """Ask a job to stop; a queued one has ended at once. Asking again changes nothing.

        Raises:
            UnknownJobError: no such job.
            AlreadyEndedError: it has ended.
        """
        before = self.get(job_id)
        job = self._registry.change(job_id, cancel_requested=True)
        if job.ended:
            raise AlreadyEndedError(job)
        if self._dispatch.withdraw(job):
            self._watch.conclude(job_id, outcome.stopped(requested=True))
            self._ticker.wake()
        elif not before.cancel_requested:
            worker_lock.interrupt(self._store.folder(job_id))
        return self.get(job_id)

    def events(self, job_id: str) -> EventLog:
        """A job's events.

        Raises:
            UnknownJobError: no such job.
        """
        return self._watch.log(job_id)

    def close(self) -> builtins.list[Job]:
        """Stop watching and starting; readers of events are let go.

        Returns:
            The jobs that go on without us; queued ones wait for the next server.
        """
        with self._guard:
            self._open = False
        self._ticker.stop()
        self._watch.close()
        self._server.release()
        return self.running()

    def _tick(self) -> bool:
        self._watch.look()
        self._dispatch.look(self._ticker)
        return self._watch.busy

    def _earlier(self, draft: Job) -> Job | None:
        """The job that has the draft's idempotency key."""
        found = self._registry.with_key(draft.idempotency)
        if found and (
            found.resumes != draft.resumes or not same_request(found.request, draft.request)
        ):
            raise KeyReusedError(found)
        return found

    def _admit(self, draft: Job) -> tuple[Job, Lock | None]:
        """Store a new job: as running with the project's lock, or queued without."""
        if not self._open:
            raise BusyError(
                "this server takes no jobs now",
                found="it is starting or stopping",
                next_step="send the request again in a few seconds",
            )
        lock, text = None, "Accepted"
        try:
            lock = self._dispatch.lock(draft)
        except BusyError as error:
            if draft.wait_until is None:
                raise
            text = f"Waiting until {draft.wait_until}: {error.message}, {error.found}"
        try:
            job = self._create(draft, text, running=lock is not None)
        except OSError as error:
            if lock:
                lock.release()
            raise CommandError(
                "the job cannot be stored",
                found=str(error),
                next_step="make room for .iac/jobs on the server's disk, then send it again",
            ) from error
        self._watch.log(job.id)
        if lock is None:
            self._dispatch.enqueue(job)
        return job, lock

    def _create(self, draft: Job, text: str, *, running: bool) -> Job:
        """Give a draft its id, and its place on disk."""
        at = clock.now()
        first = encode(EventEntry(1, at, "queued", self._redact(text)))
        draft = replace(draft, created_at=at)
        if running:
            draft = replace(draft, status="running", started_at=at)
        while True:
            job = replace(draft, id=self._registry.next_id())
            try:
                self._registry.add(job, first)
            except FileExistsError:
                continue
            return job

    def _take_up(self, job: Job) -> None:
        """Go on with a job of an earlier server, from where it is."""
        folder = self._store.folder(job.id)
        log = self._watch.log(job.id)
        alive = worker_lock.is_held(folder)
        log.poll()
        if log.is_ended:
            return
        begun = any(entry.kind == "started" for entry in log.read(0)[0])
        if alive:
            self._watch.started(job)
            if job.cancel_requested:  # by a server that may not have come to asking
                worker_lock.interrupt(folder)
        elif begun or job.wait_until is None or job.cancel_requested:
            self._watch.bury(job.id)
        elif clock.is_past(job.wait_until):
            busy = workspace_lock.busy(self._layout.project(job.request.project))
            self._watch.conclude(job.id, outcome.failed(busy))
        else:
            self._dispatch.enqueue(self._registry.change(job.id, status="queued", started_at=None))
