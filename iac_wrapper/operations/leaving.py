"""How services leave the stack, for a while or for good, and the others stay as recorded."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from iac_wrapper.adapters import synthesized_stack
from iac_wrapper.errors import ConfigError, UnhealthyError
from iac_wrapper.model.lock import LockFile
from iac_wrapper.model.report import ProjectReport
from iac_wrapper.operations import candidates, images, recording, releases, step
from iac_wrapper.operations.blame import Blame
from iac_wrapper.operations.heal import heal
from iac_wrapper.operations.leaves import ensure_certificates
from iac_wrapper.operations.prepare import remove_dropped
from iac_wrapper.operations.prove import prove_and_repair
from iac_wrapper.operations.step import Step
from iac_wrapper.operations.verify import unhealthy_detail
from iac_wrapper.operations.workspace import Workspace


class UnknownServiceError(ConfigError):
    """No service of this name is there."""


class OthersUnhealthyError(UnhealthyError):
    """What was to leave is gone, as `said`; others that the plan changed are not good."""

    def __init__(self, said: str, report: ProjectReport, *, next_step: str) -> None:
        failed = report.failed
        super().__init__(
            f"{said}; of {len(report.services)} other services that this changed {len(failed)} are"
            " not healthy",
            found=", ".join(service.app.name for service in failed),
            next_step=next_step,
            detail=unhealthy_detail(failed),
        )


def logs_of_first(report: ProjectReport) -> str:
    """The command that shows why the first bad service of `report` is."""
    return f"iac logs {report.failed[0].app.name} --project {report.project}"


def check_known(workspace: Workspace, names: Collection[str], there: Collection[str]) -> None:
    """Refuse names that are not among the services that are `there`.

    Raises:
        UnknownServiceError: says which are there.
    """
    for name in names:
        if name not in there:
            raise UnknownServiceError(
                f"no service {name} is deployed in project {workspace.project}",
                found=f"the services {', '.join(sorted(there))}" if there else "no services",
                next_step="name one of them, or another project with --project",
            )


def take_out(
    workspace: Workspace, release: recording.Release, left: LockFile, gone: Collection[str]
) -> tuple[Step, ProjectReport | None]:
    """Plan and apply `left`: what is deployed, in which the services `gone` are not in the stack.

    What drifted of the others comes back in line, and is said and proven.

    Args:
        workspace: the project, which is held.
        release: what is told how it went; it has begun.
        left: what the project is then.
        gone: the services that leave.

    Returns:
        What was applied, and the proof of the others that it changed; None: it changed none.

    Raises:
        CommandError: Terraform or the engine refused.
    """
    applied = workspace.applied_lock()
    ensure_certificates(workspace, left)  # a version before gave no uids
    candidates.discard(workspace, gone, live=True)
    known = releases.load_releases(workspace)
    going = step.prepare(workspace, left, known.stopped)
    release.plan_hash = going.hash
    others = synthesized_stack.changed_services(going.terraform.directory, going.plan)
    others -= known.stopped.keys()
    if others:
        said = ", ".join(sorted(others))
        workspace.warn(f"this also changes {said}, because it is not as recorded")
    step.apply(workspace, going)
    release.moved = sorted(gone)
    unstarted = {name: it for name, it in known.unstarted.items() if name not in gone}
    releases.finish(workspace, left, replace(known.tried(gone), unstarted=unstarted))
    images.settle(workspace, left, before=applied)
    remove_dropped(workspace, left)
    report = release.report = _prove(workspace, left, others) if others else None
    return going, report


def _prove(workspace: Workspace, left: LockFile, changed: frozenset[str]) -> ProjectReport:
    heal(workspace)
    lock = replace(left, apps=tuple(app for app in left.apps if app.name in changed))
    return prove_and_repair(workspace, lock, {}, Blame(changed, None), strict=False)
