from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from admin.jobs import outcome, worker
from admin.jobs.event_log import EventLog
from admin.jobs.job import EventEntry, Job, JobRequest
from admin.jobs.log_writer import LogWriter
from admin.jobs.outcome import Outcome
from admin.jobs.sink import Sink
from iac_wrapper import settings
from iac_wrapper.errors import ConfigError
from iac_wrapper.files.layout import Layout
from iac_wrapper.model.event import Event
from iac_wrapper.model.plan import TerraformChange, TerraformPlan
from iac_wrapper.model.report import ProjectReport
from iac_wrapper.model.service_change import Reason, ServiceChange, UnhealthyService
from iac_wrapper.operations.deploy import DeployResult, DeployUnhealthyError
from iac_wrapper.operations.plan import PlanResult
from iac_wrapper.operations.workspace import Workspace

JOB = Job("20260101T000000-00000001", JobRequest("deploy", "demo"), {}, "running", "2026")
PLAN = TerraformPlan((TerraformChange("docker_container.a", "create"),))


@dataclass
class Signalled:
    came: bool = False
    late: bool = False


@pytest.fixture
def sink(tmp_path: Path) -> Sink:
    return Sink(LogWriter(tmp_path / "events.jsonl"), Layout(tmp_path), "demo")


def _ends(sink: Sink, tmp_path: Path, error: BaseException, *, came: bool = False) -> Outcome:
    def work() -> Outcome:
        raise error

    interrupt = cast("Any", Signalled(came))
    return worker._outcome(work, interrupt, tmp_path, sink)


def test_a_file_that_cannot_be_used_is_named(
    tmp_path: Path, sink: Sink, capfd: pytest.CaptureFixture[str]
) -> None:
    """A disk's error is a failure that a person can act on; the traceback is in the log."""
    result = _ends(sink, tmp_path, PermissionError(13, "Permission denied", "secrets/ca.key"))
    assert result.status == "failed"
    assert result.results["error"]["where"] == "secrets/ca.key"
    assert "Traceback" in capfd.readouterr().err


def test_tracebacks_hold_no_secrets(
    tmp_path: Path, sink: Sink, capfd: pytest.CaptureFixture[str]
) -> None:
    """Also a bug's message goes through the redactor."""
    sink.learn(["sentinel-value"])
    result = _ends(sink, tmp_path, RuntimeError("it was sentinel-value"))
    assert result.results["error"]["error"] == "InternalError"
    logged = capfd.readouterr().err
    assert "RuntimeError: it was [redacted]" in logged
    assert "sentinel-value" not in logged + json.dumps(result.to_data())


def test_an_error_that_a_signal_caused_is_no_failure(tmp_path: Path, sink: Sink) -> None:
    """Git was asked to stop together with the worker, and was quicker."""
    assert _ends(sink, tmp_path, ConfigError("x"), came=True).status == "interrupted"
    assert _ends(sink, tmp_path, ConfigError("x")).status == "failed"
    record = json.dumps({**JOB.to_record(), "cancel_requested": True})
    (tmp_path / "job.json").write_text(record)
    assert _ends(sink, tmp_path, KeyboardInterrupt()).status == "cancelled"


def test_work_that_is_done_is_not_undone_by_a_late_signal(tmp_path: Path, sink: Sink) -> None:
    """The result stands."""
    interrupt = Signalled(came=True)
    done = Outcome("succeeded", "done")
    assert worker._outcome(lambda: done, cast("Any", interrupt), tmp_path, sink) == done
    assert interrupt.late


def test_values_become_secret_when_they_reach_the_disk(tmp_path: Path, sink: Sink) -> None:
    """And stay so after a destroy removed them."""
    values = tmp_path / "secrets" / "demo.env" / "web"
    values.mkdir(parents=True)
    (values / "KEY").write_text("sentinel-one")
    sink.emit(Event("step", "a sentinel-one"))
    (values / "KEY").unlink()
    sink.emit(Event("step", "b sentinel-one"))
    sink.emit(Event("warning", "c sentinel-one \udcff"))
    sink.finish(Outcome("failed", "d", {"error": {"list": ["sentinel-one", 1, None]}}))
    sink.emit(Event("progress", "too late"))
    log = EventLog(tmp_path / "events.jsonl", ended=True)
    entries = log.read(0)[0]
    assert [e.message for e in entries] == ["a [redacted]", "b [redacted]", "c [redacted] ?", "d"]
    assert entries[-1].data == {"status": "failed", "error": {"list": ["[redacted]", 1, None]}}


def test_results_become_the_job() -> None:
    """What the operations return is in the last event and, from there, in the job."""
    report = ProjectReport("demo", ())
    deployed = outcome.deployed(DeployResult(PLAN, "a" * 64, report))
    assert deployed.message == "Deployed: 1 to create; 0 services proven"
    job = outcome.applied(JOB, EventEntry(3, "2027", "finished", "", deployed.to_data()))
    assert (job.status, job.finished_at, job.plan_hash) == ("succeeded", "2027", "a" * 64)
    assert job.report == report.to_dict()
    assert job.plan == PLAN.to_dict()
    due = ServiceChange("web", "renew", (Reason("certificate", "certificate renewed"),))
    planned = outcome.planned(PlanResult(cast("Any", None), PLAN, (due,), "", "b" * 64, ""))
    assert planned.message == "Planned: 1 changed in place"
    assert planned.results["plan"]["renewals"] == ["web"]
    assert planned.results["plan"]["services"] == [due.to_dict()]
    assert planned.results["plan_hash"] == "b" * 64
    sick = UnhealthyService("old", "NOT_SERVING", "it answers 500", "iac logs old")
    result = PlanResult(cast("Any", None), PLAN, (), "", "b" * 64, "", unhealthy=(sick,))
    planned = outcome.planned(result)
    assert planned.message == "Planned: 1 to create; not healthy: old"
    assert planned.results["plan"]["unhealthy"][0]["cause"] == "it answers 500"


def test_an_unhealthy_deploy_keeps_its_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Applied, not proven: failed, with plan, plan hash, report and error."""
    monkeypatch.setattr(DeployUnhealthyError, "__init__", ConfigError.__init__)
    error = DeployUnhealthyError(cast("Any", "1 of 2 services are not healthy"))
    result = outcome.unhealthy(DeployResult(PLAN, "a" * 64, ProjectReport("demo", ())), error)
    assert result.status == "failed"
    assert set(result.results) == {"plan", "plan_hash", "report", "error"}
    assert result.results["error"]["error"] == "DeployUnhealthyError"


def test_a_last_event_without_a_known_status_counts_as_interrupted() -> None:
    """A damaged end is an end."""
    assert outcome.applied(JOB, EventEntry(3, "", "finished", "")).status == "interrupted"
    assert outcome.applied(JOB, EventEntry(3, "", "finished", "")).finished_at == "2026"


def test_what_goes_into_text_is_hidden_from_the_start(tmp_path: Path, sink: Sink) -> None:
    """The whole value and the part that the server's environment has."""
    chosen = settings.load_settings(tmp_path, {"PASSWORD": "sentinel-1 x"})
    workspace = Workspace(Layout(tmp_path), chosen, "demo", sink.emit)
    app = {"slug": "gh:acme/web", "env": {"URL": "redis://:${PASSWORD}@cache/0"}}
    request = JobRequest("deploy", "demo", apps=(app,), owner=True)

    worker._intent(workspace, request, sink)

    assert sink.text("redis://:sentinel-1 x@cache/0, sentinel-1 x") == "[redacted], [redacted]"
