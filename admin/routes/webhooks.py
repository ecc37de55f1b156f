"""Pushes: verified, taken once, and turned into a redeploy of the services they concern."""

from __future__ import annotations

from dataclasses import replace

from flask import Response, g, jsonify

from admin import access
from admin.actor import Actor
from admin.call import Call, data_of
from admin.jobs.job import Job, JobRequest
from admin.problem import Problem
from admin.routes.deployments import accepted
from admin.webhooks import match
from admin.webhooks.delivery import Delivery, verify
from admin.webhooks.push import HOSTS
from iac_wrapper import settings

WAIT_SECONDS = 3600.0
"""A push that comes while the project is busy waits that long."""


def webhook(call: Call) -> Response:
    """Redeploy what a push concerns."""
    delivery = _proven(call)
    push, backend = delivery.push, call.backend
    if push is None:
        return _ignored(delivery.reason)
    project = settings.check_project(call.project, where="project")
    lock = backend.workspace(project).applied_lock()
    services = match.services(push, lock.apps if lock else ())
    if not services:
        return _ignored(f"no service of project {project} comes from this repository and ref")
    g.actor = replace(g.actor, name=push.repository)
    with backend.replays.once(delivery.key):
        job = _job(call, JobRequest("deploy", project, services=services))
    return accepted(call, job)


def _proven(call: Call) -> Delivery:
    """The delivery, if it is from whom it says.

    Who sends a good one is never turned away for others' bad ones: a git host's addresses are
    shared by all its users.
    """
    name, gate, request = call.parameters["host"], call.backend.gate, call.request
    try:
        delivery = verify(
            HOSTS[name], dict(request.headers), data_of(request), call.backend.settings
        )
    except Problem as problem:
        if problem.status == 401:
            sender = access.counted_as(request)
            gate.check_failures(sender)
            gate.count_failure(sender)
        raise
    g.actor = Actor("webhook", name, via=access.via(request), peer=access.peer_of(request))
    return delivery


def _job(call: Call, request: JobRequest) -> Job:
    """A queued job for the same services will see this push too: one is enough."""
    jobs = call.backend.jobs
    for waiting in jobs.list(project=request.project, status="queued", limit=200):
        if waiting.request == request:
            return waiting
    job, _ = jobs.submit(request, g.actor, wait=WAIT_SECONDS)
    return job


def _ignored(reason: str) -> Response:
    return jsonify(ignored=reason)


HANDLERS = {"webhook": webhook}
