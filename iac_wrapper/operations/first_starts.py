"""First starts that wait: what a service needs is proven before it starts for the first time.

A service that is stopped, because its first version failed, starts for the first time again. It is
tried when what it needs has changed, or what the evidence of its failure names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from iac_wrapper.model.app import ResolvedApp
from iac_wrapper.model.certificate import spiffe_id
from iac_wrapper.model.crash_patterns import Finding
from iac_wrapper.model.diagnosis import Diagnosis
from iac_wrapper.model.health import Health, Probe
from iac_wrapper.model.lock import LockFile
from iac_wrapper.model.needs import Needs, awaited, with_more
from iac_wrapper.model.report import ProjectReport, ServiceReport
from iac_wrapper.operations import release_command
from iac_wrapper.operations.releases import (
    NamedServices,
    UnstartedService,
    load_releases,
    resting,
    tried_for_others,
)
from iac_wrapper.operations.workspace import Workspace

WAITING = "waiting"
"""The cause of a service that is not good because it was not started."""


def gates(
    workspace: Workspace,
    wanted: LockFile,
    values: Mapping[str, Mapping[str, str]],
    named: NamedServices,
) -> Needs:
    """The services of `wanted` that start for the first time, and what must be proven before; those
    that wait for nothing are left out.

    A release command runs in the project's network, so it makes a service wait for what is not
    there yet; the other processes of its entry wait for the service.
    """
    record, applied = load_releases(workspace), workspace.applied_lock()
    stopped = record.stopped
    known = {app.name for app in applied.apps} if applied else set()
    quiet = resting(workspace, wanted, values, named)
    again = tried_for_others(workspace, wanted, values, named)
    names = {app.name for app in wanted.apps}
    starting = (names - known) | (stopped.keys() - quiet)
    declared = {
        app.name: names.intersection(app.options.needs)
        for app in wanted.apps
        if app.name in starting
    }
    called = {
        app.name: awaited(app, stopped[app.name].text, names) & names
        for app in wanted.apps
        if app.name in again
    }
    has_network = applied is not None and applied.subnet == wanted.subnet
    released = {
        app.name: names.intersection(app.options.needs)
        for app in release_command.due(wanted, values, record, but=quiet)
        if app.name in starting or not has_network or not known.issuperset(app.options.needs)
    }
    siblings = {
        app.name: {app.process_of}
        for app in wanted.apps
        if app.process_of in released and app.name in starting
    }
    waiting = with_more(declared, with_more(siblings, called))
    return {**released, **waiting}


def unmet(service: str, wanted: Needs, report: ProjectReport) -> list[str]:
    """What `service` waits for and is not proven in `report`, sorted."""
    good = {row.app.name for row in report.services if row.good}
    return sorted(set(wanted[service]) - good)


def held(
    workspace: Workspace, lock: LockFile, service: str, lacks: list[str], report: ProjectReport
) -> ServiceReport:
    """The row of a service that was not started, as it `lacks` what it needs."""
    (app,) = (app for app in lock.apps if app.name == service)
    rows = {row.app.name: row for row in report.services}
    causes = [f"{name} {_why(rows.get(name))}" for name in lacks]
    waits = f"waits for {' and '.join(lacks)}"
    again = f"iac deploy {workspace.list_arguments} --project {workspace.project}"
    finding = Finding(
        WAITING,
        f"it was not started: it {waits}",
        "; ".join(causes),
        f"fix {' and '.join(lacks)}, then {again}",
    )
    return replace(_row(lock, app, waits, finding), changed=True)


def _row(lock: LockFile, app: ResolvedApp, message: str, finding: Finding) -> ServiceReport:
    """That of a service of which there is no container."""
    return ServiceReport(
        app=app,
        identity=spiffe_id(lock.trust_domain, app.name),
        health=Health(app.name, "UNREACHABLE", message=message, cause=WAITING),
        probe=Probe(app.name, None, "it was not started"),
        rotated=True,
        diagnosis=Diagnosis(finding, "was not started"),
    )


def unstarted(lock: LockFile, report: ProjectReport) -> dict[str, UnstartedService]:
    """What `report` has a bad row of, and `lock`, which is what was applied, has not: by name."""
    deployed = {app.name for app in lock.all_apps}
    rows = (row for row in report.services if row.app.name not in deployed and not row.good)
    return {
        row.app.name: UnstartedService(
            row.app,
            row.health.message,
            row.diagnosis.finding.next_step if row.diagnosis else row.health.next_step,
        )
        for row in rows
    }


def with_unstarted(workspace: Workspace, lock: LockFile, report: ProjectReport) -> ProjectReport:
    """`report`, with a row for each service that the last deploy was to start and did not."""
    deployed = {app.name for app in lock.all_apps}
    known = load_releases(workspace).unstarted
    rows = [_unstarted_row(lock, it) for name, it in known.items() if name not in deployed]
    return report.with_rows(rows)


def _unstarted_row(lock: LockFile, known: UnstartedService) -> ServiceReport:
    cause = f"the last deploy did not start it: {known.cause}"
    return _row(lock, known.app, cause, Finding(WAITING, cause, "", known.next_step))


def _why(row: ServiceReport | None) -> str:
    if row is None:
        return "was not started either"
    cause = row.diagnosis.finding.cause if row.diagnosis else row.health.message
    return f"is not good: {cause}"
