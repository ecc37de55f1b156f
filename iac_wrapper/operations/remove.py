"""Remove: take services away and leave the others as they are recorded."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from iac_wrapper.adapters import synthesized_stack
from iac_wrapper.errors import ConfigError, UnhealthyError
from iac_wrapper.files import repos_file
from iac_wrapper.model.lock import LockFile
from iac_wrapper.model.plan import TerraformPlan
from iac_wrapper.model.report import ProjectReport
from iac_wrapper.operations import (
    candidates,
    images,
    inventory,
    one_offs,
    recording,
    releases,
    step,
)
from iac_wrapper.operations.blame import Blame
from iac_wrapper.operations.heal import heal
from iac_wrapper.operations.infrastructure import check_own
from iac_wrapper.operations.leaves import ensure_certificates
from iac_wrapper.operations.prepare import remove_dropped
from iac_wrapper.operations.prove import prove_and_repair
from iac_wrapper.operations.verify import unhealthy_detail
from iac_wrapper.operations.workspace import Workspace


class UnknownServiceError(ConfigError):
    """No service of this name is there."""


@dataclass(frozen=True)
class RemoveResult:
    """What a remove took away, by what plan (`plan_hash`: SHA-256), and what it left.

    `volumes` are the data volumes of the removed services. `report` is the proof of the services
    that the plan changed as well, because they were not as recorded; None: there were none.
    `release` is its number in the ledger.
    """

    services: tuple[str, ...]
    volumes: tuple[str, ...]
    plan: TerraformPlan
    plan_hash: str
    report: ProjectReport | None = None
    release: int = 0

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form, without the plan."""
        return {"services": list(self.services), "volumes_kept": list(self.volumes)}


class RemoveUnhealthyError(UnhealthyError):
    """Services are gone, and others that the plan changed are not good; `removed` says which."""

    def __init__(self, removed: RemoveResult, report: ProjectReport) -> None:
        failed = report.failed
        super().__init__(
            f"{', '.join(removed.services)} removed; of {len(report.services)} other services that"
            f" this changed {len(failed)} are not healthy",
            found=", ".join(service.app.name for service in failed),
            next_step=f"iac logs {failed[0].app.name} --project {report.project}",
            detail=unhealthy_detail(failed),
        )
        self.removed = removed


def check_names(workspace: Workspace, names: Sequence[str]) -> tuple[str, ...]:
    """The names, each once, and after each those of the processes of its image.

    Raises:
        UnknownServiceError: there is no such service; says which there are.
        ConfigError: nothing is deployed in the project.
    """
    lock = workspace.deployed_lock()
    there = {*inventory.services(workspace), *releases.load_releases(workspace).unstarted}
    for name in names:
        if name not in there:
            raise UnknownServiceError(
                f"no service {name} is deployed in project {workspace.project}",
                found=f"the services {', '.join(sorted(there))}" if there else "no services",
                next_step="name one of them, or another project with --project",
            )
    with_processes = (
        each
        for name in names
        for each in (name, *(a.name for a in lock.apps if a.process_of == name))
    )
    return tuple(dict.fromkeys(with_processes))


def still_listed(workspace: Workspace, file: Path, names: Sequence[str]) -> tuple[str, ...]:
    """Where the repos file `file` lists `names`, as ``file:line``; nothing if it cannot be read."""
    applied = workspace.applied_lock()
    environment = workspace.environment or (applied.environment if applied else None)
    with suppress(ConfigError):
        specs = repos_file.load_entries(file, environment=environment)
        return tuple(spec.where for spec in specs if spec.name in names)
    return ()


def remove(workspace: Workspace, names: Sequence[str]) -> RemoveResult:
    """Plan and apply the recorded lock without `names`; then their keys and secret values go.

    Data volumes stay. The other services stay as they are recorded; what drifted of them comes
    back in line, and is said and proven.

    Raises:
        UnknownServiceError: as `check_names`.
        CommandError: Terraform or the engine refused.
        RemoveUnhealthyError: another service that was changed as well is not good.
    """
    workspace.engine.ping()
    with workspace.hold("iac remove"), recording.release(workspace, "remove") as release:
        check_own(workspace)
        gone = check_names(workspace, names)
        release.start()
        applied = workspace.deployed_lock()
        left = replace(applied, apps=tuple(a for a in applied.apps if a.name not in gone))
        for app in left.apps:
            if lost := sorted(set(app.options.needs) & set(gone)):
                workspace.warn(f"{app.name} needs {' and '.join(lost)}: correct its `needs:`")
        ensure_certificates(workspace, left)  # a version before gave no uids
        candidates.discard(workspace, gone, live=True)
        one_offs.discard(workspace, gone)
        known = releases.load_releases(workspace)
        going = step.prepare(workspace, left, known.stopped)
        release.plan_hash = going.hash
        others = synthesized_stack.changed_services(going.terraform.directory, going.plan)
        others -= known.stopped.keys()
        if others:
            said = ", ".join(sorted(others))
            workspace.warn(f"this also changes {said}, because it is not as recorded")
        step.apply(workspace, going)
        release.moved = gone
        unstarted = {name: it for name, it in known.unstarted.items() if name not in gone}
        releases.finish(workspace, left, replace(known, unstarted=unstarted))
        images.settle(workspace, left, before=applied)
        remove_dropped(workspace, left)
        volumes = workspace.engine.volumes(workspace.project)
        report = release.report = _prove(workspace, left, others) if others else None
    kept = tuple(name for name, service in volumes.items() if service in gone)
    removed = RemoveResult(gone, kept, going.plan, going.hash, report, release.number)
    if report and not report.good:
        raise RemoveUnhealthyError(removed, report)
    return removed


def _prove(workspace: Workspace, left: LockFile, changed: frozenset[str]) -> ProjectReport:
    heal(workspace)
    lock = replace(left, apps=tuple(app for app in left.apps if app.name in changed))
    return prove_and_repair(workspace, lock, {}, Blame(changed, None), strict=False)
