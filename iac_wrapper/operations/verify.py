"""The proof: a HealthCheck to every service over mTLS through its Envoy, and a refused stranger."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from iac_wrapper.adapters.control_plane import ControlPlane
from iac_wrapper.lock_file import LockFile
from iac_wrapper.model.app import ResolvedApp
from iac_wrapper.model.health import Health
from iac_wrapper.model.report import Diagnosis, Report, ServiceReport
from iac_wrapper.operations.prepare import CONTROL_PLANE
from iac_wrapper.operations.workspace import Workspace

LOG_LINES = 50
"""How many lines of app and Envoy an unhealthy service shows."""


def control_plane(workspace: Workspace, lock: LockFile) -> ControlPlane:
    """A client of the project's services, with the control plane's identity."""
    directory = workspace.layout.certificates(workspace.project) / CONTROL_PLANE
    return ControlPlane(lock.gateway_port, directory)


def verify(workspace: Workspace, lock: LockFile, *, wait: float) -> Report:
    """Ask every service in parallel; wait up to `wait` seconds for each to become SERVING.

    A service is good only if it is SERVING *and* a handshake without a client certificate was
    refused by its Envoy in the same run.
    """
    client = control_plane(workspace, lock)
    with ThreadPoolExecutor(max_workers=max(1, min(32, len(lock.apps)))) as pool:
        reports = list(
            pool.map(lambda app: _verify_one(workspace, client, lock, app, wait), lock.apps)
        )
    return Report(workspace.project, tuple(reports))


def unhealthy_detail(reports: Sequence[ServiceReport]) -> str:
    """The diagnoses of services that are not good, as text."""
    return "\n".join(r.diagnosis.render(r.app.name) for r in reports if r.diagnosis)


def _verify_one(
    workspace: Workspace, client: ControlPlane, lock: LockFile, app: ResolvedApp, wait: float
) -> ServiceReport:
    def show(health: Health) -> None:
        why = f": {health.message}" if health.message else ""
        workspace.progress(f"{app.name}: {health.status} after {health.seconds:.1f} s{why}")

    if wait:
        health = client.wait_serving(app.name, deadline=wait, on_change=show)
    else:
        health = client.health(app.name)
        show(health)
    probe = client.probe_without_certificate(app.name)
    report = ServiceReport(
        app, f"spiffe://{lock.trust_domain}/{app.name}", health, probe, diagnosis=None
    )
    if report.good:
        return report
    return ServiceReport(
        app, report.identity, health, probe, diagnosis=_diagnose(workspace, report)
    )


def _diagnose(workspace: Workspace, report: ServiceReport) -> Diagnosis:
    containers = {
        c.role: c
        for c in workspace.engine.containers(workspace.project)
        if c.service == report.app.name
    }
    logs = {
        role: workspace.redact(workspace.engine.logs(c.id, LOG_LINES))
        for role, c in containers.items()
    }
    app = containers.get("app")
    return Diagnosis(
        state=f"{app.state}, {app.restarts} restarts" if app else "no app container",
        ended=_ended(report, app.exit_code if app and not app.running else None),
        probe_error=report.health.message or report.probe.message,
        app_log=logs.get("app", ""),
        envoy_log=logs.get("envoy", ""),
    )


def _ended(report: ServiceReport, container_exit: int | None) -> str:
    health = report.health
    if health.oom:
        return "killed: out of memory"
    if health.signal:
        return f"killed by signal {health.signal}"
    code = health.exit_code if health.exit_code is not None else container_exit
    return f"exit code {code}" if code is not None else "still running"
