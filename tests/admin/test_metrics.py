"""What Prometheus reads, parsed by its own client library."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from admin.jobs.job import Job, JobRequest
from admin.metrics import OTHER, PROJECTS, Metrics
from admin.monitor import Snapshot
from iac_wrapper import __version__


def samples(metrics: Metrics) -> dict[tuple[str, tuple[str, ...]], float]:
    """(name, label values in the order of their names) -> value."""
    body, kind = metrics.render()
    assert kind.startswith("text/plain")
    return {
        (s.name, tuple(v for _, v in sorted(s.labels.items()))): s.value
        for family in text_string_to_metric_families(body.decode())
        for s in family.samples
    }


def job(number: int = 1, project: str = "demo", **changes: Any) -> Job:
    facts: dict[str, Any] = {
        "id": f"20260101T000000-{number:08x}",
        "request": JobRequest("deploy", project),
        "actor": {},
        "status": "succeeded",
        "created_at": "2026-01-01T00:00:00+00:00",
        "started_at": "2026-01-01T00:00:01+00:00",
        "finished_at": "2026-01-01T00:00:08.500+00:00",
    }
    return Job(**{**facts, **changes})


def row(name: str, **changes: Any) -> dict[str, Any]:
    good: dict[str, Any] = {
        "name": name,
        "status": "SERVING",
        "identity_proven": True,
        "no_certificate_refused": True,
        "certificate_expires": "2030-01-01T00:00:00+00:00",
    }
    return {**good, **changes}


class _Seen:
    def __init__(self, found: list[Snapshot]) -> None:
        self.found = found

    def snapshots(self) -> list[Snapshot]:
        return self.found


def test_requests() -> None:
    """Counted and timed by method, template and status; methods stay few."""
    metrics = Metrics()
    metrics.request("GET", "/services/<name>", 200, 0.02)
    metrics.request("GET", "/services/<name>", 200, 0.04)
    metrics.request("BREW", "unknown", 404, 0.001)
    found = samples(metrics)
    assert found["iac_http_requests_total", ("GET", "/services/<name>", "200")] == 2
    assert found["iac_http_requests_total", (OTHER, "unknown", "404")] == 1
    bucket = "iac_http_request_duration_seconds_bucket"
    assert found[bucket, ("0.025", "GET", "/services/<name>")] == 1
    assert found[bucket, ("0.05", "GET", "/services/<name>")] == 2
    assert not [name for name, _ in found if name.endswith("_created")]


def test_jobs() -> None:
    """Running ones by id, so that a second word about one changes nothing; ended ones timed."""
    metrics = Metrics()
    for _ in range(2):
        metrics.job_started(job(1))
    metrics.job_started(job(2))
    assert samples(metrics)["iac_jobs_running", ()] == 2
    metrics.job_finished(job(1))
    metrics.job_finished(job(3, status="interrupted", started_at=None))
    found = samples(metrics)
    assert found["iac_jobs_running", ()] == 1
    assert found["iac_jobs_total", ("deploy", "demo", "succeeded")] == 1
    assert found["iac_jobs_total", ("deploy", "demo", "interrupted")] == 1
    assert found["iac_job_duration_seconds_sum", ("deploy",)] == 7.5
    assert found["iac_job_duration_seconds_bucket", ("deploy", "10.0")] == 1
    assert found["iac_job_duration_seconds_bucket", ("deploy", "5.0")] == 0


def test_names_that_callers_choose_are_bounded() -> None:
    """A thousand project names make a hundred series and one for the rest."""
    metrics = Metrics()
    for number in range(1000):
        metrics.job_finished(job(number, project=f"p{number}"))
    series = [labels for name, labels in samples(metrics) if name == "iac_jobs_total"]
    assert len(series) == PROJECTS + 1


def test_streams_and_build() -> None:
    """Open streams go up and down; the version is a label."""
    metrics = Metrics()
    metrics.stream_opened("events")
    metrics.stream_opened("events")
    metrics.stream_opened("logs")
    metrics.stream_closed("events")
    found = samples(metrics)
    assert found["iac_streams_open", ("events",)] == 1
    assert found["iac_build_info", (__version__,)] == 1


def test_services_as_they_were_last_seen() -> None:
    """Serving only with identity and refusal; what is not known has no sample; gone is gone."""
    checked = datetime.now(UTC) - timedelta(seconds=5)
    rows = (
        row("web"),
        row("open", no_certificate_refused=False),
        row("down", status="UNREACHABLE", identity_proven=False, certificate_expires=None),
    )
    snapshots = [
        Snapshot("demo", checked, "unhealthy", rows),
        Snapshot("other", checked, "unknown", error={"status": 503}),
    ]
    metrics = Metrics(_Seen(snapshots))
    found = samples(metrics)
    serving = {labels[1]: v for (name, labels), v in found.items() if name == "iac_service_serving"}
    assert serving == {"web": 1, "open": 0, "down": 0}
    expiry = "iac_certificate_expiry_timestamp_seconds"
    assert found[expiry, ("demo", "web")] == datetime(2030, 1, 1, tzinfo=UTC).timestamp()
    assert (expiry, ("demo", "down")) not in found
    assert 5 <= found["iac_snapshot_age_seconds", ("demo",)] < 10
    assert found["iac_snapshot_failed", ("other",)] == 1
    snapshots.clear()
    assert ("iac_service_serving", ("demo", "web")) not in samples(metrics)
