"""What the admin service counts, for Prometheus: requests, jobs, streams, and how services are.

Every label has a bounded number of values: callers choose paths, methods and project names, and
must not fill the memory of this server or of Prometheus with them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Protocol

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from admin.jobs.job import Job
from admin.monitor import Snapshot
from iac_wrapper import __version__

METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
OTHER = "other"
PROJECTS = 100
"""How many projects and other names get a time series of their own; the rest share ``other``."""

_REQUEST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_JOB_SECONDS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600)


class HasSnapshots(Protocol):
    """A `Monitor`, as far as metrics need one."""

    def snapshots(self) -> Sequence[Snapshot]:
        """The newest ones there are, at once."""
        ...


class Metrics:
    """The metrics of one server, in a registry of their own. Its methods may run in threads.

    Args:
        monitor: whose snapshots are shown, as they are at each scrape.
    """

    def __init__(self, monitor: HasSnapshots | None = None) -> None:
        self._registry = registry = _Registry()
        self._projects = _Names()
        self._running: set[str] = set()
        self._lock = threading.Lock()
        Info("iac_build", "What is running.", registry=registry).info({"version": __version__})
        self._requests = Counter(
            "iac_http_requests_total",
            "Requests answered.",
            ["method", "route", "status"],
            registry=registry,
        )
        self._request_seconds = Histogram(
            "iac_http_request_duration_seconds",
            "Time to answer, without streams.",
            ["method", "route"],
            buckets=_REQUEST_SECONDS,
            registry=registry,
        )
        self._auth_failures = Counter(
            "iac_auth_failures_total", "Callers refused.", ["reason"], registry=registry
        )
        self._jobs = Counter(
            "iac_jobs_total", "Jobs ended.", ["kind", "project", "status"], registry=registry
        )
        self._job_seconds = Histogram(
            "iac_job_duration_seconds",
            "Time from a job's start to its end.",
            ["kind"],
            buckets=_JOB_SECONDS,
            registry=registry,
        )
        jobs = Gauge("iac_jobs_running", "Jobs at work.", registry=registry)
        jobs.set_function(lambda: len(self._running))
        self._open = Gauge("iac_streams_open", "Streams being sent.", ["kind"], registry=registry)
        registry.register(_Services(monitor))

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answered request.

        Args:
            method: of HTTP.
            route: its template (``/services/<name>``), never its path.
            status: of the answer.
            seconds: how long it took to the answer's beginning.
        """
        method = method if method in METHODS else OTHER
        self._requests.labels(method, route, str(status)).inc()
        self._request_seconds.labels(method, route).observe(seconds)

    def auth_failure(self, reason: str) -> None:
        """Count a refused caller; `reason` is a problem's code."""
        self._auth_failures.labels(reason).inc()

    def job_started(self, job: Job) -> None:
        """A job is at work, also if another server started it."""
        with self._lock:
            self._running.add(job.id)

    def job_finished(self, job: Job) -> None:
        """Count an ended job, also one that never started."""
        with self._lock:
            self._running.discard(job.id)
        request = job.request
        self._jobs.labels(request.kind, self._projects(request.project), job.status).inc()
        if job.started_at and job.finished_at:
            took = datetime.fromisoformat(job.finished_at) - datetime.fromisoformat(job.started_at)
            self._job_seconds.labels(request.kind).observe(max(0.0, took.total_seconds()))

    def stream_opened(self, kind: str) -> None:
        """A stream (``events``, ``logs``) begins."""
        self._open.labels(kind).inc()

    def stream_closed(self, kind: str) -> None:
        """A stream ended, whoever ended it."""
        self._open.labels(kind).dec()

    def render(self) -> tuple[bytes, str]:
        """The answer to a scrape, and its content type."""
        return generate_latest(self._registry), CONTENT_TYPE_LATEST


class _Registry(CollectorRegistry):
    """Without the ``_created`` series of each counter: twice the text, and nobody reads it."""

    def collect(self) -> Iterator[Metric]:
        for family in super().collect():
            family.samples = [s for s in family.samples if not s.name.endswith("_created")]
            yield family


class _Names:
    """Hands names through until there are too many different ones."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._lock = threading.Lock()

    def __call__(self, name: str) -> str:
        with self._lock:
            if len(self._known) < PROJECTS:
                self._known.add(name)
            return name if name in self._known else OTHER


class _Services(Collector):
    """The newest snapshots as samples; a service that is gone is gone here, too."""

    def __init__(self, monitor: HasSnapshots | None) -> None:
        self._monitor = monitor

    def describe(self) -> Iterable[Metric]:
        return self._families(())

    def collect(self) -> Iterable[Metric]:
        return self._families(self._monitor.snapshots()[:PROJECTS] if self._monitor else ())

    def _families(self, snapshots: Sequence[Snapshot]) -> Iterator[Metric]:
        serving = GaugeMetricFamily(
            "iac_service_serving",
            "1: SERVING under the right identity, and strangers are refused.",
            labels=["project", "service"],
        )
        expiry = GaugeMetricFamily(
            "iac_certificate_expiry_timestamp_seconds",
            "When the certificate that a service shows ends, seconds since 1970.",
            labels=["project", "service"],
        )
        age = GaugeMetricFamily(
            "iac_snapshot_age_seconds", "How old the newest look is.", labels=["project"]
        )
        failed = GaugeMetricFamily(
            "iac_snapshot_failed", "1: the newest look failed (engine down).", labels=["project"]
        )
        for found in snapshots:
            seconds = (datetime.now(UTC) - found.checked_at).total_seconds()
            age.add_metric([found.project], max(0.0, seconds))
            failed.add_metric([found.project], found.error is not None)
            for row in found.services:
                labels = [found.project, row["name"]]
                serving.add_metric(labels, _is_serving(row))
                if row["certificate_expires"]:
                    ends = datetime.fromisoformat(row["certificate_expires"]).timestamp()
                    expiry.add_metric(labels, ends)
        yield from (serving, expiry, age, failed)


def _is_serving(row: dict[str, object]) -> bool:
    return (
        row["status"] == "SERVING"
        and row["identity_proven"] is True
        and row["no_certificate_refused"] is True
    )
