"""Remove: take services away and leave the others as they are recorded."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from iac_wrapper.errors import ConfigError
from iac_wrapper.files import repos_file
from iac_wrapper.model.plan import TerraformPlan
from iac_wrapper.model.report import ProjectReport
from iac_wrapper.operations import inventory, one_offs, recording, releases
from iac_wrapper.operations.infrastructure import check_own
from iac_wrapper.operations.leaving import (
    OthersUnhealthyError,
    check_known,
    logs_of_first,
    take_out,
)
from iac_wrapper.operations.workspace import Workspace


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


class RemoveUnhealthyError(OthersUnhealthyError):
    """Services are gone, and others that the plan changed are not good; `removed` says which."""

    def __init__(self, removed: RemoveResult, report: ProjectReport) -> None:
        super().__init__(
            f"{', '.join(removed.services)} removed", report, next_step=logs_of_first(report)
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
    check_known(workspace, names, there)
    with_processes = (
        each
        for name in names
        for each in (name, *(a.name for a in lock.all_apps if a.process_of == name))
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
        left = workspace.deployed_lock().without(gone)
        for app in left.apps:
            if lost := sorted(set(app.options.needs) & set(gone)):
                workspace.warn(f"{app.name} needs {' and '.join(lost)}: correct its `needs:`")
        one_offs.discard(workspace, gone)
        going, report = take_out(workspace, release, left, gone)
        volumes = workspace.engine.volumes(workspace.project)
    kept = tuple(name for name, service in volumes.items() if service in gone)
    removed = RemoveResult(gone, kept, going.plan, going.hash, report, release.number)
    if report and not report.good:
        raise RemoveUnhealthyError(removed, report)
    return removed
