"""What runs: health, services, logs, metrics, and the document itself."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from flask import Response, jsonify

from admin import contract
from admin.call import Call
from admin.monitor import NotDeployedError
from admin.problem import Problem
from admin.scrub import scrub
from admin.streams import BEAT_SECONDS, NDJSON, SSE, TEXT, Encoding, log_lines
from iac_wrapper import __version__, settings
from iac_wrapper.errors import ConfigError, IacError
from iac_wrapper.operations.log_source import LogRecord
from iac_wrapper.operations.logs import follow, logs
from iac_wrapper.operations.workspace import Workspace


def get_health(call: Call) -> Response:
    """Alive, and whether the engine is; nothing else, as anybody may ask."""
    reachable = call.backend.engine.reachable()
    return jsonify(
        status="ok" if reachable else "degraded",
        version=__version__,
        engine={"reachable": reachable},
    )


def get_openapi(_call: Call) -> Response:
    """The OpenAPI document."""
    return jsonify(contract.document())


def get_metrics(call: Call) -> Response:
    """Prometheus metrics."""
    text, content_type = call.backend.metrics.render()
    return Response(text, content_type=content_type)


def list_services(call: Call) -> Response:
    """The last proof of every service."""
    project = settings.check_project(call.project, where="project")
    snapshot = call.backend.monitor.snapshot(project)
    if snapshot.error:
        raise Problem.of(snapshot.error)
    found = snapshot.to_dict()
    del found["error"]
    return jsonify(found)


def get_service(call: Call) -> Response:
    """One service, asked now."""
    workspace = _workspace(call)
    try:
        report = call.backend.monitor.service(workspace.project, call.parameters["name"])
    except NotDeployedError as error:
        raise _no_service(error) from None
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    return jsonify(**scrub(report.to_dict(), workspace.redactor()), checked_at=now)


def get_logs(call: Call) -> Response:
    """Log lines of one service, as a stream."""
    encoding = Encoding(call.media(NDJSON, SSE, TEXT))
    workspace = _workspace(call)
    name, tail = call.parameters["name"], call.parameters["tail"]
    roles = ("app", "envoy") if call.parameters["envoy"] else ("app",)
    call.check_room()
    records: Iterator[LogRecord | None]
    try:
        if call.parameters["follow"]:
            records = follow(workspace, [name], roles=roles, tail=tail, beat=BEAT_SECONDS)
        else:
            records = logs(workspace, [name], roles=roles, tail=tail)
    except ConfigError as error:
        raise _no_service(error) from None
    return call.streams.respond("logs", log_lines(records, encoding), encoding.media)


def _workspace(call: Call) -> Workspace:
    project = settings.check_project(call.project, where="project")
    return call.backend.monitor.workspace(project)


def _no_service(error: IacError) -> Problem:
    return Problem(
        404,
        "no-such-service",
        error.message,
        found=error.found,
        next_step="GET /services lists them",
    )


HANDLERS = {
    "getHealth": get_health,
    "getOpenapi": get_openapi,
    "getMetrics": get_metrics,
    "listServices": list_services,
    "getService": get_service,
    "getLogs": get_logs,
}
