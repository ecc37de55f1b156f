"""Deployments: start, look, follow, cancel, resume."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import urlencode

from flask import Response, g, jsonify

from admin.access import require
from admin.actor import Scope
from admin.call import Call
from admin.jobs import intents
from admin.jobs.errors import AlreadyEndedError, KeyReusedError, UnknownJobError
from admin.jobs.job import Job, JobRequest, Kind
from admin.problem import Problem, from_error, not_serving
from admin.streams import NDJSON, SSE, Encoding, job_events
from iac_wrapper import settings
from iac_wrapper.adapters import workspace_lock
from iac_wrapper.errors import BusyError, ConfigError
from iac_wrapper.operations import history, inventory
from iac_wrapper.operations.remove import check_names
from iac_wrapper.operations.workspace import Workspace

JSON = "application/json"


def deploy(call: Call) -> Response:
    """Deploy, or with ``dry_run`` plan."""
    return _start(call, _request(call, "plan" if call.body.get("dry_run") else "deploy"))


def plan(call: Call) -> Response:
    """Plan."""
    return _start(call, _request(call, "plan"))


def destroy(call: Call) -> Response:
    """Destroy, if the project's name was given twice."""
    project = settings.check_project(call.project, where="/project")
    volumes = bool(call.body.get("volumes"))
    g.asked = JobRequest("destroy", project, volumes=volumes, owner=call.caller.owner)
    if call.body["confirm"] != project:
        raise Problem(
            422,
            "not-confirmed",
            f"this would remove everything of project {project}",
            where="/confirm",
            found=call.body["confirm"][:100],
            expected=project,
        )
    return _start(call, g.asked, there=partial(_check_project, call.backend.workspace(project)))


def remove(call: Call) -> Response:
    """Take one service away."""
    project = settings.check_project(call.project, where="project")
    name = call.parameters["name"]
    request = JobRequest("remove", project, services=(name,), owner=call.caller.owner)
    return _start(
        call, request, there=partial(_check_service, call.backend.workspace(project), name)
    )


def rollback(call: Call) -> Response:
    """Back to what services had after an earlier release."""
    project, body = settings.check_project(call.project, where="/project"), call.body
    request = JobRequest(
        "rollback",
        project,
        services=tuple(body.get("services", ())),
        to=body.get("to"),
        dry_run=body.get("dry_run", False),
        owner=call.caller.owner,
    )
    workspace = call.backend.workspace(project)
    return _start(call, request, there=partial(_check_release, workspace, request.to))


def resume(call: Call) -> Response:
    """Do an unfinished job again."""
    job = _job(call)
    g.asked = job.request
    require(call.caller, _scope(job.request.kind))
    if not job.resumable:
        raise Problem(
            409,
            "not-resumable",
            f"this deployment is {job.status}",
            expected="interrupted or cancelled",
            next_step="POST /deploy starts a new one" if job.ended else "wait for it to end",
        )
    return _start(call, replace(job.request, owner=call.caller.owner), resumes=job.id)


def list_deployments(call: Call) -> Response:
    """A page of jobs, newest first."""
    wanted = {name: call.parameters[name] for name in ("project", "status")}
    limit = call.parameters["limit"]
    jobs = call.backend.jobs.list(**wanted, limit=limit + 1, before=call.parameters["before"])
    page: dict[str, Any] = {"deployments": [show(job) for job in jobs[:limit]]}
    if len(jobs) > limit:
        query = {name: value for name, value in wanted.items() if value}
        query |= {"limit": limit, "before": jobs[limit - 1].id}
        page["next"] = f"/deployments?{urlencode(query)}"
    return jsonify(page)


def get_deployment(call: Call) -> Response:
    """One job."""
    return jsonify(show(_job(call)))


def get_events(call: Call) -> Response:
    """A job's events, from where the client left off."""
    job = _job(call)
    encoding = Encoding(call.media(SSE, NDJSON))
    after = int(call.parameters["Last-Event-ID"] or call.parameters["after"])
    log = call.backend.jobs.events(job.id)
    entries, ended = log.read(after)
    if ended and not entries:
        return Response(status=204)
    call.check_room()
    return call.streams.respond("events", job_events(log, after, encoding), encoding.media)


def cancel(call: Call) -> Response:
    """Ask a job to stop."""
    g.job = job = _job(call)
    require(call.caller, _scope(job.request.kind))
    try:
        asked = call.backend.jobs.cancel(job.id)
    except AlreadyEndedError as error:
        raise Problem(409, "already-ended", error.message, found=error.found) from None
    response = jsonify(show(asked))
    response.status_code = 202
    return response


def show(job: Job) -> dict[str, Any]:
    """A job as the API shows it; what is not known yet is left out."""
    links = {"self": f"/deployments/{job.id}", "events": f"/deployments/{job.id}/events"}
    if not job.ended:
        links["cancel"] = f"/deployments/{job.id}/cancel"
    if job.resumable:
        links["resume"] = f"/deployments/{job.id}/resume"
    record = {
        name: value
        for name, value in job.to_record().items()
        if value is not None and name not in ("request", "idempotency")
    }
    return {
        **record,
        "kind": job.request.kind,
        "project": job.request.project,
        "request": job.request.asked(),
        "resumable": job.resumable,
        "links": links,
    }


def accepted(call: Call, job: Job, media: str = JSON, *, replayed: bool = False) -> Response:
    """202 with the address of the job, and the job itself or a stream of its events."""
    g.job = job
    if media == JSON:
        response = jsonify(show(job))
        response.status_code = 202
    else:
        chunks = job_events(call.backend.jobs.events(job.id), 0, Encoding(media))
        response = call.streams.respond("events", chunks, media, status=202)
    response.headers["Location"] = f"/deployments/{job.id}"
    if replayed:
        response.headers["Idempotency-Replayed"] = "true"
    return response


def _request(call: Call, kind: Kind) -> JobRequest:
    body = call.body
    return JobRequest(
        kind,
        settings.check_project(call.project, where="/project"),
        slugs=tuple(body.get("slugs", ())),
        apps=tuple(body.get("apps", ())),
        prune=body.get("prune", False),
        locked=body.get("locked", False),
        offline=body.get("offline", False),
        all=body.get("all", False),
        owner=call.caller.owner,
    )


def _start(
    call: Call,
    request: JobRequest,
    *,
    resumes: str | None = None,
    there: Callable[[], object] = lambda: None,
) -> Response:
    """Start a job. `there` refuses one about something that is not there."""
    media = call.media(JSON, SSE, NDJSON)
    if media != JSON:
        call.check_room()
    g.asked = request  # for the audit, should it be refused

    def check() -> None:
        intents.check(request, call.backend.settings, call.backend.layout.root)
        there()

    try:
        job, replayed = call.backend.jobs.submit(
            request,
            call.caller,
            wait=call.parameters["wait"],
            key=call.parameters["Idempotency-Key"],
            resumes=resumes,
            check=check,
        )
    except KeyReusedError as error:
        raise Problem(
            422,
            "idempotency-key-reused",
            error.message,
            found=error.found,
            next_step="take a new key for a new request",
        ) from None
    except BusyError as error:
        if call.backend.stopping.is_set():
            raise not_serving(error.message, found=error.found) from None
        problem = from_error(error)
        problem.headers["Retry-After"] = "10"
        problem.extra["next_step"] = "wait for it to end, or ask with ?wait=SECONDS to be queued"
        raise problem from None
    return accepted(call, job, media, replayed=replayed)


def _check_project(workspace: Workspace) -> None:
    if _is_busy(workspace):
        return
    try:
        inventory.known(workspace)
    except inventory.UnknownProjectError as error:
        raise _not_there(error, "no-such-project") from None


def _check_service(workspace: Workspace, name: str) -> None:
    if _is_busy(workspace):
        return
    try:
        check_names(workspace, [name])
    except ConfigError as error:
        raise _not_there(error, "no-such-service") from None


def _check_release(workspace: Workspace, number: int | None) -> None:
    if number is None or _is_busy(workspace):
        return
    try:
        history.show(workspace, number)
    except history.UnknownReleaseError as error:
        raise _not_there(error, "no-such-release") from None


def _is_busy(workspace: Workspace) -> bool:
    """What is at work may be bringing what the request is about: the job will see."""
    return workspace_lock.holder(workspace.directory) is not None


def _not_there(error: ConfigError, code: str) -> Problem:
    return Problem(404, code, error.message, found=error.found, expected=error.expected)


def _job(call: Call) -> Job:
    try:
        return call.backend.jobs.get(call.parameters["id"])
    except UnknownJobError as error:
        raise Problem(
            404, "no-such-deployment", error.message, next_step="GET /deployments lists them"
        ) from None


def _scope(kind: Kind) -> Scope:
    return "destroy" if kind in ("destroy", "remove") else "deploy"


HANDLERS = {
    "deploy": deploy,
    "plan": plan,
    "destroy": destroy,
    "removeService": remove,
    "rollback": rollback,
    "resume": resume,
    "listDeployments": list_deployments,
    "getDeployment": get_deployment,
    "getEvents": get_events,
    "cancel": cancel,
}
