"""Remove: take services away and leave the others as they are recorded."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from iac_wrapper import repos_file
from iac_wrapper.adapters import synthesized
from iac_wrapper.errors import ConfigError
from iac_wrapper.lock_file import LockFile
from iac_wrapper.model.plan import Plan
from iac_wrapper.operations import candidates, inventory, releases, step
from iac_wrapper.operations.infrastructure import check_own
from iac_wrapper.operations.prepare import ensure_certificates, remove_dropped
from iac_wrapper.operations.workspace import Workspace


class UnknownServiceError(ConfigError):
    """No service of this name is there."""


@dataclass(frozen=True)
class Removed:
    """What a remove took away, by what plan (`plan_hash`: SHA-256), and what it left.

    `volumes` are the data volumes of the removed services.
    """

    services: tuple[str, ...]
    volumes: tuple[str, ...]
    plan: Plan
    plan_hash: str

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form, without the plan."""
        return {"services": list(self.services), "volumes_kept": list(self.volumes)}


def check_names(workspace: Workspace, names: Sequence[str]) -> tuple[str, ...]:
    """The names, each once.

    Raises:
        UnknownServiceError: there is no such service; says which there are.
        ConfigError: nothing is deployed in the project.
    """
    workspace.deployed()
    there = inventory.services(workspace)
    for name in names:
        if name not in there:
            raise UnknownServiceError(
                f"no service {name} is deployed in project {workspace.project}",
                found=f"the services {', '.join(there)}" if there else "no services",
                next_step="name one of them, or another project with --project",
            )
    return tuple(dict.fromkeys(names))


def still_listed(file: Path, names: Sequence[str]) -> tuple[str, ...]:
    """Where the repos file `file` lists `names`, as ``file:line``; nothing if it cannot be read."""
    with suppress(ConfigError):
        return tuple(spec.where for spec in repos_file.load(file) if spec.name in names)
    return ()


def remove(workspace: Workspace, names: Sequence[str]) -> Removed:
    """Plan and apply the recorded lock without `names`; then their keys and secret values go.

    Data volumes stay. The other services stay as they are recorded; what drifted of them comes
    back in line, and is said.

    Raises:
        UnknownServiceError: as `check_names`.
        CommandError: Terraform or the engine refused.
    """
    workspace.engine.ping()
    with workspace.hold("iac remove"):
        check_own(workspace)
        gone = check_names(workspace, names)
        applied = workspace.deployed()
        left = replace(applied, apps=tuple(a for a in applied.apps if a.name not in gone))
        ensure_certificates(workspace, left)  # a version before gave no uids
        candidates.discard(workspace, gone, live=True)
        plan, plan_hash = _apply(workspace, left)
        remove_dropped(workspace, left)
        volumes = workspace.engine.volumes(workspace.project)
    kept = tuple(name for name, service in volumes.items() if service in gone)
    return Removed(gone, kept, plan, plan_hash)


def _apply(workspace: Workspace, left: LockFile) -> tuple[Plan, str]:
    known = releases.load(workspace)
    going = step.prepare(workspace, left, known.stopped)
    others = synthesized.changed_services(going.terraform.directory, going.plan)
    if others:
        workspace.warn(f"this changes {', '.join(sorted(others))} too: they were not as recorded")
    step.apply(workspace, going)
    releases.finish(workspace, left, known)
    return going.plan, going.hash
