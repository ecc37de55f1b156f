"""Keeps an eye on every deployed project: heals it, and holds its newest verdict ready.

`GET /services` and the metrics read a `Snapshot` that is at most some seconds old; only a request
that nothing recent is there for pays for a look of its own. It must not know Flask.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

from admin import problem
from admin.problem import Problem
from admin.scrub import scrub
from iac_wrapper.adapters import state
from iac_wrapper.errors import EngineError, IacError
from iac_wrapper.files.layout import Layout
from iac_wrapper.model.event import Event
from iac_wrapper.model.ledger import Caller
from iac_wrapper.model.report import ProjectReport, ServiceReport
from iac_wrapper.operations import keeping
from iac_wrapper.operations.heal import heal_accidents
from iac_wrapper.operations.health import health
from iac_wrapper.operations.parked import parked_services
from iac_wrapper.operations.verify import verify
from iac_wrapper.operations.workspace import Workspace
from iac_wrapper.settings import Settings

PATIENCE = 10.0
"""Seconds a request waits for a look that somebody else has begun, if there is an older answer."""

SHARE = 5
"""A pause is at least this many times as long as the look before it: on a small machine with many
services, looking must not become the load."""

LONGEST_PAUSE = 60.0
"""Seconds between two looks, however long one takes and however long the engine is down; requests
look for themselves before."""

log = logging.getLogger("iac.admin")

Verdict = Literal["ok", "unhealthy", "empty", "unknown"]


@dataclass(frozen=True)
class Snapshot:
    """How a project was at `checked_at` (UTC).

    `verdict`: ``ok``, ``unhealthy``, ``empty`` (nothing is deployed) or ``unknown`` (`error`, a
    problem's body, says why). `services` are rows of `ServiceReport.to_dict`, `stopped` of
    `ParkedService.to_dict`; `warnings` name what healing cannot put right.
    """

    project: str
    checked_at: datetime
    verdict: Verdict
    services: tuple[dict[str, Any], ...] = ()
    warnings: tuple[str, ...] = ()
    error: dict[str, Any] | None = None
    stopped: tuple[dict[str, Any], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "project": self.project,
            "checked_at": self.checked_at.isoformat(timespec="milliseconds"),
            "verdict": self.verdict,
            "services": list(self.services),
            "stopped": list(self.stopped),
            "warnings": list(self.warnings),
            "error": self.error,
        }


class NotDeployedError(IacError):
    """No service of this name is deployed in the project."""

    def __init__(self, project: str, service: str) -> None:
        super().__init__(
            f"no service {service} is deployed in project {project}",
            next_step="GET /services lists them",
        )


class _Watch:
    """One project: its newest snapshot, and who is looking right now."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.warnings: list[str] = []  # of the look that goes on
        self.snapshot: Snapshot | None = None
        self.began = 0.0  # when the look that gave the snapshot began
        self.seen = 0  # number of pokes before that
        self.pokes = 0
        self.busy = False
        self.due = 0.0
        self.failures = 0

    def is_newer(self, since: float) -> bool:
        """Whether the snapshot is from after `since`, and from after the last poke."""
        return self.snapshot is not None and self.seen == self.pokes and self.began >= since


class Monitor:
    """Looks at every project with a Terraform state, in a thread of its own.

    Args:
        layout: the project folder.
        settings: of the server.
        interval: seconds between two looks at a project.
        clock: seconds on a clock that never goes back.
    """

    def __init__(
        self,
        layout: Layout,
        settings: Settings,
        *,
        interval: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._layout = layout
        self._settings = settings
        self._interval = interval
        self._clock = clock
        self._changed = threading.Condition()  # guards everything below, and each _Watch
        self._watches: dict[str, _Watch] = {}
        self._stopping = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to look."""
        self._thread = threading.Thread(target=self._run, name="monitor", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Stop looking; waits up to `timeout` seconds for a look to end."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread:
            self._thread.join(timeout)

    def poke(self, project: str) -> None:
        """Something was done to `project`: what is known is out of date, look again now."""
        if project not in self.projects():
            with self._changed:
                self._watches.pop(project, None)
            return
        watch = self._watch(project)
        with self._changed:
            watch.pokes += 1
            self._changed.notify_all()

    def projects(self) -> list[str]:
        """Names of the projects that have a Terraform state."""
        return state.projects(self._layout)

    def snapshots(self) -> list[Snapshot]:
        """The newest snapshots as they are; looks at nothing."""
        with self._changed:
            return [w.snapshot for w in self._watches.values() if w.snapshot]

    def snapshot(self, project: str, max_age: float = 30.0) -> Snapshot:
        """The newest snapshot; if it is older than `max_age` seconds or than a poke, a new one.

        Callers at the same time share one look. If that takes longer than `PATIENCE`, the older
        answer is returned, where there is one.
        """
        if project not in self.projects():
            return Snapshot(project, datetime.now(UTC), "empty")
        called = self._clock()
        return self._newest(project, called - max_age, patience=PATIENCE)

    def service(self, project: str, name: str) -> ServiceReport:
        """One look at one service, now.

        Raises:
            NotDeployedError: it is not deployed.
            IacError: the look failed (no engine, no certificate of our own).
        """
        workspace = self.workspace(project)
        lock = workspace.applied_lock()
        apps = tuple(app for app in lock.apps if app.name == name) if lock else ()
        if lock is None or not apps:
            raise NotDeployedError(project, name)
        return verify(workspace, replace(lock, apps=apps), wait=0).services[0]

    def workspace(self, project: str) -> Workspace:
        """For a look at one project: with the connections to the engine that all looks share."""
        if project in self.projects():
            return self._watch(project).workspace
        return self._workspace(project)

    def _newest(self, project: str, since: float, *, patience: float | None) -> Snapshot:
        """A snapshot from after `since`; looks, unless somebody does."""
        watch = self._watch(project)
        with self._changed:
            if not watch.is_newer(since):
                patience = patience if watch.snapshot else None
                self._changed.wait_for(lambda: not watch.busy, patience)
            if watch.snapshot and (watch.busy or watch.is_newer(since)):
                return watch.snapshot
            watch.busy = True
            began, pokes = self._clock(), watch.pokes
        snapshot = None
        try:
            snapshot = self._look(watch)
        finally:
            with self._changed:
                watch.busy = False
                if snapshot:
                    watch.snapshot, watch.began, watch.seen = snapshot, began, pokes
                self._plan_next(watch, began)
                self._changed.notify_all()
        return snapshot

    def _look(self, watch: _Watch) -> Snapshot:
        """Errors become part of the snapshot: nobody who waits for one gets nothing."""
        project = watch.workspace.project
        watch.warnings.clear()
        try:
            redact = watch.workspace.redactor()
            found = self._report(watch.workspace)
            parked = [each.to_dict() for each in parked_services(watch.workspace)]
            stopped = tuple(scrub(each, redact) for each in parked)
        except IacError as error:
            watch.failures = watch.failures + 1 if isinstance(error, EngineError) else 0
            return self._failed(project, problem.from_error(error))
        except Exception:
            log.exception("a look at project %s failed", project)
            return self._failed(project, Problem(500, "internal", "the look at it failed"))
        watch.failures = 0
        warnings = tuple(map(redact, sorted(watch.warnings)))
        known = watch.snapshot.warnings if watch.snapshot else ()
        for warning in sorted(set(warnings) - set(known)):
            log.warning("project %s: %s", project, warning)
        now = datetime.now(UTC)
        if found is None:
            return Snapshot(project, now, "empty", warnings=warnings, stopped=stopped)
        rows = tuple(scrub(service.to_dict(), redact) for service in found.services)
        verdict: Verdict = "ok" if found.good else "unhealthy"
        return Snapshot(project, now, verdict, rows, warnings, stopped=stopped)

    def _report(self, workspace: Workspace) -> ProjectReport | None:
        lock = workspace.applied_lock()
        if not (lock and lock.apps):
            return None
        if not keeping.is_kept(workspace):
            keeping.ensure(workspace)
        heal_accidents(workspace)
        return health(workspace)

    def _failed(self, project: str, error: Problem) -> Snapshot:
        return Snapshot(project, datetime.now(UTC), "unknown", error=error.body())

    def _plan_next(self, watch: _Watch, began: float) -> None:
        now = self._clock()
        pause = max(self._interval, min(SHARE * (now - began), LONGEST_PAUSE))
        if watch.failures:
            # A workspace remembers where the engine is; the person may have chosen another one.
            watch.workspace = replace(watch.workspace)
            pause = min(pause * 2.0**watch.failures, max(pause, LONGEST_PAUSE))
        watch.due = now + pause

    def _watch(self, project: str) -> _Watch:
        with self._changed:
            watch = self._watches.get(project)
            if watch is None:
                watch = self._watches[project] = _Watch(self._workspace(project))
            return watch

    def _workspace(self, project: str) -> Workspace:
        """One for all looks: it holds a client of the engine, with its connections."""

        def emit(event: Event) -> None:
            if event.kind == "warning":
                watch = self._watches.get(project)
                if watch:
                    watch.warnings.append(event.message)
            else:
                log.debug("project %s: %s", project, event.message)

        return Workspace(self._layout, self._settings, project, emit, caller=Caller("server"))

    def _run(self) -> None:
        while not self._stopping:
            pause = self._interval
            try:
                self._round()
                pause = self._pause()
            except Exception:  # the thread must outlive whatever it meets
                log.exception("a round of the monitor failed")
            with self._changed:
                self._changed.wait_for(self._something_to_do, pause)

    def _round(self) -> None:
        projects = self.projects()
        with self._changed:
            for gone in self._watches.keys() - set(projects):
                del self._watches[gone]
        for project in projects:
            watch = self._watch(project)
            if self._stopping:
                return
            if watch.due <= self._clock() or watch.seen != watch.pokes:
                self._newest(project, self._clock(), patience=None)

    def _something_to_do(self) -> bool:
        return self._stopping or any(w.seen != w.pokes for w in self._watches.values())

    def _pause(self) -> float:
        """Seconds until the next look is due; new projects are found as often as old ones."""
        with self._changed:
            due = min((w.due for w in self._watches.values()), default=float("inf"))
        return max(0.0, min(due - self._clock(), self._interval))
