"""`release:`, a command of a new version that runs once before that version does.

It runs as a one-off in the new image, with the new environment and the service's identity, while
the old version serves. Whether it is due is known by what it last succeeded for.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import replace

from iac_wrapper.adapters import planned_containers
from iac_wrapper.model import crash_patterns, one_off
from iac_wrapper.model.app import ResolvedApp
from iac_wrapper.model.certificate import spiffe_id
from iac_wrapper.model.crash_patterns import Finding
from iac_wrapper.model.diagnosis import SHOWN_LINES, Diagnosis
from iac_wrapper.model.health import Health, Probe
from iac_wrapper.model.lock import LockFile
from iac_wrapper.model.report import ServiceReport
from iac_wrapper.operations import releases
from iac_wrapper.operations import run as runs
from iac_wrapper.operations.changes import Values
from iac_wrapper.operations.one_offs import Recipe
from iac_wrapper.operations.releases import Releases
from iac_wrapper.operations.run import Captured
from iac_wrapper.operations.step import Step
from iac_wrapper.operations.workspace import Workspace
from iac_wrapper.program.source_hints import source_hints

CAUSE = "release"
"""The stable word for a version whose release command failed."""


def due(
    lock: LockFile, values: Values, known: Releases, *, but: Collection[str] = ()
) -> list[ResolvedApp]:
    """The services, but for those named, whose command did not succeed for what they will be."""
    return [
        app
        for app in lock.apps
        if app.options.release
        and app.name not in but
        and known.released.get(app.name) != fingerprint(app, values[app.name])
    ]


def fingerprint(app: ResolvedApp, values: Mapping[str, str]) -> str:
    """A hash of all that the command could depend on: image, environment, and its own line."""
    facts = [app.image, app.options.release, dict(app.env), dict(values)]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def run_due(
    workspace: Workspace, planned: Step, values: Values, known: Releases, *, but: Collection[str]
) -> tuple[dict[str, ServiceReport], Releases]:
    """Run the commands that are due, as `planned` will have their services, one after the other.

    Returns:
        The rows of the services whose command failed, and the record with those that succeeded.

    Raises:
        CommandError: the engine refused.
    """
    failed = {}
    for app in due(planned.lock, values, known, but=but):
        workspace.step(f"Running the release command of {app.name}: {app.options.release}")
        row = _run(workspace, planned, app, values[app.name])
        if row:
            failed[app.name] = row
            workspace.warn(
                f"{app.name}: its release command failed, so this version is not started"
            )
            continue
        done = {app.name: fingerprint(app, values[app.name])}
        known = replace(known, released={**known.released, **done})
        releases.save_releases(workspace, known)
    return failed, known


def _run(
    workspace: Workspace, planned: Step, app: ResolvedApp, values: Mapping[str, str]
) -> ServiceReport | None:
    """The row of a version whose command failed; None if it succeeded."""
    shown = planned.terraform.show(planned.plan_file)
    pair = {c.role: c for c in planned_containers.containers(shown) if c.service == app.name}
    recipe = Recipe(app.name, pair, workspace.host.sidecar_image, app.image, values)
    lines: deque[str] = deque(maxlen=SHOWN_LINES)

    def told(line: str) -> None:
        lines.append(line)
        workspace.progress(f"{app.name}: {line}", app.name)

    captured = runs.capture(
        workspace,
        recipe,
        one_off.shell_line(app.options.release or ""),
        "release",
        limit=workspace.settings.release_timeout,
        told=told,
    )
    if captured.record.exit_code == 0 and not captured.timed_out:
        return None
    return _row(workspace, planned.lock, app, captured, list(lines))


def _row(
    workspace: Workspace, lock: LockFile, app: ResolvedApp, captured: Captured, lines: list[str]
) -> ServiceReport:
    code = captured.record.exit_code
    how = "was removed before it ended" if code is None else f"ended with exit code {code}"
    if captured.timed_out:
        limit = workspace.settings.release_timeout
        how = f"took longer than {limit} s (IAC_RELEASE_TIMEOUT)"
    source = workspace.layout.context(workspace.project, app.image) / "app"
    known = crash_patterns.find(lines, app, source_hints(source))
    why = f": {known.cause}" if known else ""
    cause = f"its release command {how}{why}"
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    logs = f"iac logs {captured.record.id} --project {workspace.project}"
    finding = Finding(
        CAUSE,
        cause,
        known.evidence if known else last,
        f"{known.next_step}; {logs} has all that it said" if known else logs,
    )
    health = Health(
        app.name, "NOT_SERVING", "FAILED", exit_code=code, message=cause, cause=CAUSE, hopeless=True
    )
    return ServiceReport(
        app=app,
        identity=spiffe_id(lock.trust_domain, app.name),
        health=health,
        probe=Probe(app.name, None, "its new version was not started"),
        rotated=True,
        diagnosis=Diagnosis(finding, "not started"),  # what it said was told as it came
    )
