"""Deploy: from intent to services that are proven to serve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from iac_wrapper import lock_file
from iac_wrapper.adapters import image_builder
from iac_wrapper.errors import UnhealthyError
from iac_wrapper.lock_file import LockFile
from iac_wrapper.model.plan import Plan
from iac_wrapper.model.report import Report
from iac_wrapper.operations import local_bases, prune
from iac_wrapper.operations.blame import Blame
from iac_wrapper.operations.heal import heal
from iac_wrapper.operations.infrastructure import (
    check_own,
    file_hash,
    make_plan,
    sweep_orphans,
)
from iac_wrapper.operations.intent import Intent, select
from iac_wrapper.operations.prepare import (
    Facts,
    facts,
    materialize,
    remove_dropped,
    with_old_values,
)
from iac_wrapper.operations.verify import unhealthy_detail, verify
from iac_wrapper.operations.workspace import Workspace


@dataclass(frozen=True)
class Deployed:
    """What a deploy did, and its proof. `plan_hash` is the SHA-256 of the plan that was applied."""

    plan: Plan
    plan_hash: str
    report: Report


def gather(workspace: Workspace, intent: Intent) -> Facts:
    """Resolve, fetch and detect what `intent` names. Call it with the project held.

    Raises:
        PruneError: services would be removed, and nobody agreed to that.
        ConfigError: among others, when the project's containers belong to another folder.
    """
    workspace.engine.ping()
    check_own(workspace)
    prune.check(workspace, intent)
    selection = select(workspace, intent)
    count = len(selection.fresh)
    workspace.step(f"Resolving {count} slug{'s' * (count != 1)}")
    return facts(workspace, selection, base_dir=intent.base_dir)


def lock(workspace: Workspace, intent: Intent) -> LockFile:
    """Write the lock file and everything else that synth and Terraform need on disk."""
    with workspace.hold("iac lock"):
        found = gather(workspace, intent)
        materialize(workspace, found, intent.lock_path)
    return found.lock


def deploy(workspace: Workspace, intent: Intent, *, everything: bool = False) -> Deployed:
    """Make the project be what `intent` says, and prove it.

    Raises:
        IacError: any step failed; what was running before keeps running unless Terraform had
            already replaced it.
        DeployUnhealthyError: everything was applied, but not every service is good; with
            `everything` also if those are bad only that were broken before.
    """
    with workspace.hold("iac deploy"):
        found = gather(workspace, intent)
        workspace.step("Preparing certificates and build contexts")
        materialize(workspace, found, intent.lock_path)
        healed = [line.partition(":")[0] for line in heal(workspace)]
        # A copy: the repos file, and so the lock beside it, may be another project's as well.
        own = workspace.directory / "deploy.lock.json"
        lock_file.save(found.lock, own)
        plan, plan_hash, blame = _apply(workspace, own, healed, intent.named)
        blame = blame.touched(_restart_for_new_values(workspace, found.lock))
        heal(workspace)
        remove_dropped(workspace, found.lock)
        local_bases.record(workspace, intent, found.lock)
    report = _prove(workspace, found.lock, blame, strict=everything)
    deployed = Deployed(plan, plan_hash, report)
    if not report.good:
        raise DeployUnhealthyError(deployed)
    return deployed


def _prove(workspace: Workspace, wanted: LockFile, blame: Blame, *, strict: bool) -> Report:
    """Verify; an Envoy that still serves an old certificate is restarted, once.

    It does so when its directory of certificates was removed and made again: the mount still
    shows the old one.
    """
    workspace.step("Verifying every service over mTLS")
    wait = workspace.settings.health_timeout
    report = verify(workspace, wanted, wait=wait, given_up=blame.given_up)
    stale = {service.app.name for service in report.services if not service.rotated}
    if not stale:
        return blame.mark(report, strict=strict)
    for container in workspace.engine.containers(workspace.project):
        if container.role == "envoy" and container.service in stale:
            workspace.progress(f"{container.service}: restarting its Envoy for the new certificate")
            workspace.engine.restart(container)
    heal(workspace)
    blame = blame.touched(stale)
    report = verify(workspace, wanted, wait=wait, given_up=blame.given_up)
    return blame.mark(report, strict=strict)


class DeployUnhealthyError(UnhealthyError):
    """Applied, but not proven; `deployed` says what was found."""

    def __init__(self, deployed: Deployed) -> None:
        failed = deployed.report.failed
        bad = [service.app.name for service in failed]
        super().__init__(
            f"{len(bad)} of {len(deployed.report.services)} services are not healthy",
            found=", ".join(bad),
            detail=unhealthy_detail(failed),
        )
        self.deployed = deployed


def _apply(
    workspace: Workspace, lock_path: Path, healed: Sequence[str], named: frozenset[str]
) -> tuple[Plan, str, Blame]:
    outdir = workspace.layout.outdir(workspace.project)
    terraform, saved, plan = make_plan(workspace, lock_path, outdir)
    plan_hash = file_hash(saved)
    _build(workspace, terraform.directory, plan)
    blame = Blame.before(workspace, terraform.directory, plan, healed=healed, named=named)
    sweep_orphans(workspace)
    workspace.step(f"Applying: {plan.summary}" if plan.changes else "No changes to any container")
    if not plan.empty:
        terraform.apply(saved, workspace.progress)
    saved.unlink(missing_ok=True)
    return plan, plan_hash, blame


def _build(workspace: Workspace, stack: Path, plan: Plan) -> None:
    """Build what the plan will need, while everything still runs."""
    wanted = [c.address for c in plan.changes if c.action in ("create", "replace")]
    images = image_builder.blocks(stack, wanted)
    missing = [image for image in images if not workspace.engine.has_image(image["name"])]
    if missing:
        names = ", ".join(image["name"] for image in missing)
        workspace.step(f"Building {len(missing)} image{'s' * (len(missing) != 1)}: {names}")
        image_builder.build_all(
            workspace.host.docker,
            missing,
            workspace.directory / "log",
            workspace.progress,
            workspace.redactor(),
        )


def _restart_for_new_values(workspace: Workspace, wanted: LockFile) -> list[str]:
    """Restart apps that started before their secret environment changed: they hold the old one."""
    outdated = with_old_values(workspace, wanted)
    for container in outdated:
        workspace.progress(f"{container.service}: restarting, its secret environment changed")
        workspace.engine.restart(container)
    return [container.service for container in outdated]
