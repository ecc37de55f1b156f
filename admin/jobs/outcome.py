"""How a job ended: the operation's result or error as the data of the last event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from admin.jobs.job import EventEntry, Job, Status
from iac_wrapper.errors import IacError, Interrupted
from iac_wrapper.model.service_change import summary

if TYPE_CHECKING:
    from iac_wrapper.operations.deploy import DeployResult
    from iac_wrapper.operations.destroy import DestroyResult
    from iac_wrapper.operations.plan import PlanResult
    from iac_wrapper.operations.remove import RemoveResult


@dataclass(frozen=True)
class Outcome:
    """A final status, one sentence about it, and the results as JSON-ready values."""

    status: Status
    message: str
    results: Mapping[str, Any] = field(default_factory=dict)

    def to_data(self) -> dict[str, Any]:
        """The data of the event ``finished``."""
        return {"status": self.status, **self.results}


def planned(result: PlanResult) -> Outcome:
    """A plan was made."""
    results = {"plan": result.to_dict(), "plan_hash": result.plan_hash}
    what = summary(result.services) or result.plan.summary
    if names := ", ".join(service.service for service in result.unhealthy):
        what += f"; not healthy: {names}"
    return Outcome("succeeded", f"Planned: {what}", results)


def deployed(result: DeployResult) -> Outcome:
    """A deploy was applied and every service proven."""
    count = sum(service.good for service in result.report.services)
    text = f"Deployed: {result.plan.summary}; {count} service{'s' * (count != 1)} proven"
    return Outcome("succeeded", text, _deploy_results(result))


def unhealthy(result: DeployResult, error: IacError) -> Outcome:
    """A deploy was applied, and not every service is good."""
    return replace(failed(error), results={**_deploy_results(result), "error": error.to_dict()})


def destroyed(project: str, result: DestroyResult) -> Outcome:
    """A project is gone."""
    text = f"Project {project} is gone: {result.resources} resources destroyed; nothing is left"
    kinds = {"volumes": result.volumes_kept, "images": result.images_kept}
    if kept := [f"{kind}: {', '.join(names)}" for kind, names in kinds.items() if names]:
        text += f" but its {', and its '.join(kept)}"
    data = {
        "resources": result.resources,
        "swept": list(result.swept),
        "volumes_kept": list(result.volumes_kept),
        "images_kept": list(result.images_kept),
    }
    return Outcome("succeeded", text, {"destroyed": data})


def removed(result: RemoveResult) -> Outcome:
    """Services are gone."""
    text = f"Removed: {', '.join(result.services)}"
    return Outcome("succeeded", text, _remove_results(result))


def removed_unhealthy(result: RemoveResult, error: IacError) -> Outcome:
    """Services are gone, and not every other one that this changed is good."""
    return replace(failed(error), results={**_remove_results(result), "error": error.to_dict()})


def failed(error: IacError) -> Outcome:
    """A step failed."""
    return Outcome("failed", f"Failed: {error.message}", {"error": error.to_dict()})


def stopped(*, requested: bool) -> Outcome:
    """The worker was asked to stop, by a caller or by somebody on the machine."""
    if requested:
        return _stopped("cancelled", "cancelled on request")
    return _stopped("interrupted", "interrupted: the worker was asked to stop")


def died(*, requested: bool) -> Outcome:
    """The worker is gone and left no word."""
    if requested:
        return stopped(requested=True)
    return _stopped("interrupted", "interrupted: the worker ended without a result")


def unforeseen() -> Outcome:
    """A bug; what is known of it stands in the worker's log."""
    error = IacError(
        "unexpected error, see the worker's log",
        next_step="read worker.log in the job's folder below .iac/jobs, on the server",
    ).to_dict()
    text = "Failed: unexpected error"
    return Outcome("failed", text, {"error": {**error, "error": "InternalError"}})


def applied(job: Job, last: EventEntry) -> Job:
    """`job` with what its last event says."""
    data = last.data or {}
    known: tuple[Status, ...] = ("succeeded", "failed", "cancelled")
    status: Status = data["status"] if data.get("status") in known else "interrupted"
    return replace(
        job,
        status=status,
        finished_at=last.at or job.created_at,
        plan_hash=data.get("plan_hash"),
        plan=data.get("plan"),
        report=data.get("report"),
        destroyed=data.get("destroyed"),
        removed=data.get("removed"),
        error=data.get("error"),
        release=data.get("release"),
    )


def _deploy_results(result: DeployResult) -> dict[str, Any]:
    return {
        "plan": result.plan.to_dict(),
        "plan_hash": result.plan_hash,
        "report": result.report.to_dict(),
    }


def _remove_results(result: RemoveResult) -> dict[str, Any]:
    return {
        "removed": result.to_dict(),
        "plan": result.plan.to_dict(),
        "plan_hash": result.plan_hash,
        **({"report": result.report.to_dict()} if result.report else {}),
    }


def _stopped(status: Status, message: str) -> Outcome:
    error = Interrupted(message, next_step="resume it: every step is safe to repeat")
    return Outcome(status, message.capitalize(), {"error": error.to_dict()})
