"""Everything behind the endpoints, made once and shared by HTTP, socket and gRPC."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from admin.audit import Audit
from admin.auth.gate import Gate
from admin.engine_probe import EngineProbe
from admin.jobs.job import Job
from admin.jobs.jobs import Jobs
from admin.metrics import Metrics
from admin.monitor import Monitor
from admin.renewals import LeafRenewals, Renewals
from admin.schedules import Schedules
from admin.webhooks.replay import Replays
from admin.webhooks.signature import check_secrets
from iac_wrapper.files.layout import Layout
from iac_wrapper.model.redact import Redactor
from iac_wrapper.operations.workspace import Workspace
from iac_wrapper.settings import Settings


@dataclass(frozen=True)
class Backend:
    """The parts of a running API.

    `started` is set when it takes jobs, `stopping` when it takes no more and streams should end.
    """

    layout: Layout
    settings: Settings
    gate: Gate
    jobs: Jobs
    monitor: Monitor
    audit: Audit
    metrics: Metrics
    replays: Replays
    engine: EngineProbe
    renewals: Renewals
    leaf_renewals: LeafRenewals
    schedules: Schedules
    started: threading.Event = field(default_factory=threading.Event)
    stopping: threading.Event = field(default_factory=threading.Event)

    @classmethod
    def open(cls, layout: Layout, settings: Settings) -> Backend:
        """The parts for one project folder; nothing runs yet.

        Raises:
            ConfigError: a setting is wrong.
        """
        check_secrets(settings)
        folder = layout.data / "admin"
        monitor = Monitor(layout, settings)
        metrics = Metrics(monitor)
        audit = Audit(folder / "audit.jsonl", Redactor(settings.secrets))

        def changed(job: Job) -> None:
            if job.ended:
                metrics.job_finished(job)
                audit.record(
                    f"{job.request.kind}.finished",
                    actor=job.actor,
                    project=job.request.project,
                    deployment=job.id,
                    plan_hash=job.plan_hash,
                    outcome=job.status,
                    release=job.release,
                    asked=job.request.asked(),
                )
                monitor.poke(job.request.project)
            else:
                metrics.job_started(job)

        return cls(
            layout=layout,
            settings=settings,
            gate=Gate(settings),
            jobs=Jobs(layout, settings, on_change=changed),
            monitor=monitor,
            audit=audit,
            metrics=metrics,
            replays=Replays(folder / "deliveries"),
            engine=EngineProbe(settings),
            renewals=Renewals(layout, settings),
            leaf_renewals=LeafRenewals(layout, settings),
            schedules=Schedules(layout, settings),
        )

    def workspace(self, project: str) -> Workspace:
        """A look at `project`; what it says goes nowhere."""
        return Workspace(self.layout, self.settings, project, lambda _: None)

    def start(self) -> list[Job]:
        """Take up what an earlier server left; watch the services, renew certificates, run what is
        scheduled.

        Returns:
            The jobs that were interrupted since.
        """
        interrupted = self.jobs.recover()
        self.started.set()
        self.monitor.start()
        self.renewals.start()
        self.leaf_renewals.start()
        self.schedules.start()
        return interrupted

    @property
    def open_for_work(self) -> bool:
        """Whether jobs can be asked for."""
        return self.started.is_set() and not self.stopping.is_set()

    def close(self) -> list[Job]:
        """End streams and watching.

        Returns:
            The jobs whose workers go on; the next server takes them up.
        """
        self.stopping.set()
        going_on = self.jobs.close()  # first: readers wait for it
        self.monitor.stop()
        self.renewals.stop()
        self.leaf_renewals.stop()
        self.schedules.stop()
        return going_on
