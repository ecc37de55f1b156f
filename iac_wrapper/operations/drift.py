"""What has moved since the last deploy and Terraform's plan does not tell: a look at engine and
services."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from iac_wrapper.adapters.engine import Container
from iac_wrapper.files.layout import container_name, gateway_name, ingress_name
from iac_wrapper.model.certificate import CONTROL_PLANE
from iac_wrapper.model.lock import LockFile
from iac_wrapper.model.report import ServiceReport
from iac_wrapper.model.service_change import ServiceChange, UnhealthyService
from iac_wrapper.operations import volumes
from iac_wrapper.operations.heal import STOPPED, most_processes
from iac_wrapper.operations.verify import verify
from iac_wrapper.operations.workspace import Workspace


def recorded(workspace: Workspace) -> list[Container]:
    """The containers that Terraform made; others may come and go, and stand still on purpose."""
    project = workspace.project
    shared = (gateway_name(project), ingress_name(project))
    return [
        container
        for container in workspace.engine.containers(project)
        if container.name in (*shared, container_name(project, container.service, container.role))
    ]


def stopped(found: Sequence[Container], resting: frozenset[str]) -> set[tuple[str, str]]:
    """(service, role) of those that stand still and are to run; `resting` services are not."""
    return {
        (each.service, each.role)
        for each in found
        if each.state in STOPPED and not each.done and each.service not in resting
    }


def bounded(found: Sequence[Container]) -> set[tuple[str, str]]:
    """The same of those whose limit of processes somebody changed: no attribute of Terraform's."""
    return {
        (each.service, each.role)
        for each in found
        if each.max_processes not in (0, most_processes(each))
    }


def lost(workspace: Workspace, wanted: LockFile) -> dict[str, list[str]]:
    """Service -> the names of its volumes that are gone and that a deploy makes anew."""
    applied = workspace.applied_lock()
    found: dict[str, list[str]] = {}
    for each in volumes.gone(workspace, applied.apps if applied else (), wanted.apps):
        found.setdefault(each.service, []).append(each.name)
    return found


def unhealthy(
    workspace: Workspace, changes: Sequence[ServiceChange]
) -> tuple[UnhealthyService, ...]:
    """The deployed services that are not good, as `iac health` would say, by one look.

    What a deploy mends is among `changes` and not told again; with the network or the gateway among
    them nobody can be asked. Nor is anybody while the leaf to ask with is due: a look would renew
    it.
    """
    lock = workspace.applied_lock()
    drifted = {each.service for each in changes if each.interrupts and each.drifted}
    due = any(each.service == CONTROL_PLANE for each in changes)
    if lock is None or due or drifted & {"gateway", "network"}:
        return ()
    gone = drifted | {each.service for each in changes if each.action == "remove"}
    asked = replace(lock, apps=tuple(app for app in lock.apps if app.name not in gone))
    silent = replace(workspace, emit=lambda _: None)
    return tuple(map(_told, verify(silent, asked, wait=0, exactly=True).failed))


def _told(row: ServiceReport) -> UnhealthyService:
    finding = row.diagnosis.finding if row.diagnosis else None
    return UnhealthyService(
        service=row.app.name,
        status=row.health.status,
        cause=finding.cause if finding else row.health.message,
        next_step=(finding.next_step if finding else row.health.next_step) or "iac health",
    )
