"""Stop: services leave the stack until they are started, with everything that they own kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from iac_wrapper.errors import UnhealthyError
from iac_wrapper.files import lock_file
from iac_wrapper.model.lock import LockFile
from iac_wrapper.model.plan import TerraformPlan
from iac_wrapper.model.report import ProjectReport
from iac_wrapper.operations import history, parked, recording
from iac_wrapper.operations.infrastructure import check_own
from iac_wrapper.operations.leaving import (
    OthersUnhealthyError,
    check_known,
    logs_of_first,
    take_out,
)
from iac_wrapper.operations.verify import LOOK_SECONDS, control_plane
from iac_wrapper.operations.workspace import Workspace


@dataclass(frozen=True)
class StopResult:
    """What a stop took out of the stack, by what plan, and the proof of the others that this
    changed; None: it changed none. `release` is its number in the ledger. Without a plan nothing
    was to be done: all were stopped."""

    services: tuple[str, ...]
    plan: TerraformPlan | None = None
    plan_hash: str = ""
    report: ProjectReport | None = None
    release: int = 0

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "services": list(self.services),
            "plan": self.plan and self.plan.to_dict(),
            "report": self.report and self.report.to_dict(),
            "release": self.release or None,
        }


class StopUnhealthyError(OthersUnhealthyError):
    """Services are stopped, and others that the plan changed are not good; `stopped` says which."""

    def __init__(self, stopped: StopResult, report: ProjectReport) -> None:
        super().__init__(
            f"{', '.join(stopped.services)} stopped", report, next_step=logs_of_first(report)
        )
        self.stopped = stopped


def stop(workspace: Workspace, names: Sequence[str]) -> StopResult:
    """Take the services `names` out of the stack, and prove that they are gone.

    Volumes, secret values, keys, uids and images stay; the lock says what starts again.

    Raises:
        UnknownServiceError: there is no such service; says which there are.
        ConfigError: nothing is deployed in the project.
        CommandError: Terraform or the engine refused.
        UnhealthyError: a service answers all the same.
        StopUnhealthyError: another service that was changed as well is not good.
    """
    workspace.engine.ping()
    with workspace.hold("iac stop"), recording.release(workspace, parked.KIND) as release:
        check_own(workspace)
        applied = workspace.deployed_lock()
        check_known(workspace, names, [app.name for app in applied.all_apps])
        before = {app.name for app in applied.parked}
        going = sorted({*names} - before)
        for name in sorted(before & {*names}):
            workspace.progress(f"{name} is stopped already")
        if not going:
            return StopResult(())
        release.of = {"named": going}
        release.start()
        left = applied.parking({*before, *going})
        path = history.lock_path(workspace)
        applying, report = take_out(workspace, release, left, going)
        lock_file.save_lock(left, path)
        _check_gone(workspace, left, going)
        parked.say(workspace, left)
    done = StopResult(tuple(going), applying.plan, applying.hash, report, release.number)
    if report and not report.good:
        raise StopUnhealthyError(done, report)
    return done


def _check_gone(workspace: Workspace, left: LockFile, names: Sequence[str]) -> None:
    """Prove that nothing of the services runs, and that nobody answers in their names.

    Raises:
        UnhealthyError: something does.
    """
    client = control_plane(workspace, left)
    there = [
        container.name
        for container in workspace.engine.containers(workspace.project)
        if container.service in names and container.role in ("app", "envoy")
    ]
    answers = [n for n in names if client.health(n, timeout=LOOK_SECONDS).status != "UNREACHABLE"]
    if there or answers:
        raise UnhealthyError(
            f"{', '.join(names)} left the stack, and something of it is still there",
            found=", ".join([*there, *(f"an answer from {name}" for name in answers)]),
            expected="no container and no answer",
            next_step=f"iac status --project {workspace.project}, then iac deploy"
            f" {workspace.list_arguments} --project {workspace.project}",
        )
