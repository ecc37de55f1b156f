"""The proof: a HealthCheck to every service over mTLS through its Envoy, and a refused stranger."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from threading import Event

from iac_wrapper.adapters import certificates
from iac_wrapper.adapters.control_plane import ControlPlane
from iac_wrapper.adapters.engine import Container
from iac_wrapper.errors import CommandError
from iac_wrapper.lock_file import LockFile
from iac_wrapper.model.app import ResolvedApp
from iac_wrapper.model.certificate import CONTROL_PLANE, spiffe_id
from iac_wrapper.model.health import Health
from iac_wrapper.model.report import Diagnosis, Report, ServiceReport
from iac_wrapper.operations.workspace import Workspace

LOG_LINES = 50
"""How many lines of app and Envoy an unhealthy service shows."""


def control_plane(workspace: Workspace, lock: LockFile) -> ControlPlane:
    """A client of the project's services, with the control plane's identity."""
    directory = workspace.layout.certificates(workspace.project) / CONTROL_PLANE
    return ControlPlane(lock.gateway_port, directory)


def verify(
    workspace: Workspace, lock: LockFile, *, wait: float, given_up: Collection[str] = ()
) -> Report:
    """Ask every service in parallel; wait up to `wait` seconds for each to become SERVING, but not
    for those that are `given_up`.

    A service is good only if it is SERVING *and* a handshake without a client certificate was
    refused by its Envoy in the same run.
    """
    stop = Event()
    pool = ThreadPoolExecutor(max_workers=max(1, min(32, len(lock.apps))))
    prove = partial(_verify_one, workspace, control_plane(workspace, lock), lock, stop)
    waits = [0 if app.name in given_up else wait for app in lock.apps]
    try:
        return Report(workspace.project, tuple(pool.map(prove, waits, lock.apps)))
    finally:
        stop.set()  # on Ctrl-C nobody waits for services that are still starting
        pool.shutdown(wait=False, cancel_futures=True)


def unhealthy_detail(reports: Sequence[ServiceReport]) -> str:
    """The diagnoses of services that are not good, as text."""
    return "\n".join(r.diagnosis.render(r.app.name) for r in reports if r.diagnosis)


def _verify_one(  # noqa: PLR0913, PLR0917 - what all services share comes first, for partial
    workspace: Workspace,
    client: ControlPlane,
    lock: LockFile,
    stop: Event,
    wait: float,
    app: ResolvedApp,
) -> ServiceReport:
    def show(health: Health) -> None:
        why = f": {health.message}" if health.message else ""
        workspace.progress(f"{app.name}: {health.status} after {health.seconds:.1f} s{why}")

    if wait:
        health = client.wait_serving(app.name, deadline=wait, on_change=show, stop=stop)
    else:
        health = client.health(app.name)
        show(health)
    report = ServiceReport(
        app=app,
        identity=spiffe_id(lock.trust_domain, app.name),
        health=health,
        probe=client.probe_without_certificate(app.name),
        rotated=_serves_its_leaf(workspace, health),
        diagnosis=None,
    )
    return report if report.good else replace(report, diagnosis=_diagnose(workspace, report))


def _serves_its_leaf(workspace: Workspace, health: Health) -> bool:
    """Whether the certificate in the handshake is the one on disk: Envoy took the last rotation."""
    if health.fingerprint is None:
        return True  # nothing answered: that is the finding
    directory = workspace.layout.certificates(workspace.project) / health.name
    return certificates.inspect(directory).fingerprint == health.fingerprint


def _diagnose(workspace: Workspace, report: ServiceReport) -> Diagnosis:
    containers = {
        c.role: c
        for c in workspace.engine.containers(workspace.project)
        if c.service == report.app.name
    }
    app = containers.get("app")
    stale = "" if report.rotated else "Envoy serves an older certificate than the one on disk"
    return Diagnosis(
        state=f"{app.state}, {app.restarts} restarts" if app else "is gone",
        ended=_ended(report.health, app),
        probe_error=stale or report.health.message or report.probe.message,
        app_log=_log(workspace, app),
        envoy_log=_log(workspace, containers.get("envoy")),
    )


def _log(workspace: Workspace, container: Container | None) -> str:
    if container is None:
        return ""
    try:
        line = workspace.redactor().lines()
        lines = workspace.engine.logs(container.id, 4 * LOG_LINES).splitlines()
        return "\n".join([line(text) for text in lines if not _is_span(text)][-LOG_LINES:])
    except CommandError as error:
        return f"(cannot be read: {error.message})"


def _is_span(text: str) -> bool:
    """Whether a line is OpenTelemetry's console exporter speaking, not the program."""
    return text.startswith('{"name": ') and '"trace_id"' in text


def _ended(health: Health, app: Container | None) -> str:
    if health.oom or (app and app.oom_killed):
        return "killed: out of memory"
    if health.signal:
        return f"killed by signal {health.signal}"
    stopped = app.exit_code if app and not app.running else None
    code = health.exit_code if health.exit_code is not None else stopped
    return f"exit code {code}" if code is not None else "has not ended"
