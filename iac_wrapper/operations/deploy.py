"""Deploy: from intent to services that are proven to serve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from iac_wrapper import lock_file
from iac_wrapper.adapters import image_builder, workspace_lock
from iac_wrapper.errors import UnhealthyError
from iac_wrapper.lock_file import LockFile
from iac_wrapper.model.app import AppSpec, ResolvedApp
from iac_wrapper.model.plan import Plan
from iac_wrapper.model.report import Report
from iac_wrapper.operations.heal import heal
from iac_wrapper.operations.infrastructure import make_plan, sweep_orphans
from iac_wrapper.operations.prepare import Facts, facts, materialize
from iac_wrapper.operations.verify import unhealthy_detail, verify
from iac_wrapper.operations.workspace import Workspace


@dataclass(frozen=True)
class Intent:
    """What to deploy.

    `specs` are resolved anew; `kept` stay as locked; `lock_path` is where the facts are written;
    `pinned` holds commits to take instead of what the refs point to now.
    """

    specs: Sequence[AppSpec]
    base_dir: Path
    lock_path: Path
    kept: Sequence[ResolvedApp] = ()
    pinned: LockFile | None = None


@dataclass(frozen=True)
class Deployed:
    """What a deploy did, and its proof."""

    plan: Plan
    report: Report


def gather(workspace: Workspace, intent: Intent) -> Facts:
    """Resolve, fetch and detect what `intent` names; needs the engine only for free addresses."""
    workspace.engine.ping()
    workspace.step(f"Resolving {len(intent.specs)} slug{'s' * (len(intent.specs) != 1)}")
    return facts(
        workspace,
        intent.specs,
        base_dir=intent.base_dir,
        previous=workspace.applied() or _locked(workspace, intent.lock_path),
        pinned=intent.pinned,
        kept=intent.kept,
    )


def _locked(workspace: Workspace, path: Path) -> LockFile | None:
    """The lock beside the repos file, if it is one of this project."""
    lock = lock_file.load(path) if path.exists() else None
    return lock if lock and lock.project == workspace.project else None


def lock(workspace: Workspace, intent: Intent) -> LockFile:
    """Write the lock file and everything else that synth and Terraform need on disk."""
    with workspace_lock.hold(workspace.directory, "iac lock"):
        found = gather(workspace, intent)
        materialize(workspace, found, intent.lock_path)
    return found.lock


def deploy(workspace: Workspace, intent: Intent) -> Deployed:
    """Make the project be what `intent` says, and prove it.

    Raises:
        IacError: any step failed; what was running before keeps running unless Terraform had
            already replaced it.
        UnhealthyError: everything was applied, but not every service is good. Carries the
            `Deployed` value as ``deployed``.
    """
    with workspace_lock.hold(workspace.directory, "iac deploy"):
        found = gather(workspace, intent)
        workspace.step("Preparing certificates and build contexts")
        restart = materialize(workspace, found, intent.lock_path)
        sweep_orphans(workspace)
        before = {c.id for c in workspace.engine.containers(workspace.project)}
        plan = _apply(workspace, intent.lock_path)
        _restart(workspace, restart, before)
        heal(workspace)
    workspace.step("Verifying every service over mTLS")
    report = verify(workspace, found.lock, wait=workspace.settings.health_timeout)
    deployed = Deployed(plan, report)
    if not report.good:
        raise DeployUnhealthyError(deployed)
    return deployed


class DeployUnhealthyError(UnhealthyError):
    """Applied, but not proven; `deployed` says what was found."""

    def __init__(self, deployed: Deployed) -> None:
        bad = [s.app.name for s in deployed.report.services if not s.good]
        super().__init__(
            f"{len(bad)} of {len(deployed.report.services)} services are not healthy",
            found=", ".join(bad),
            expected="SERVING over mTLS, and a handshake without a client certificate refused",
            next_step=f"iac logs --service {bad[0]}",
            detail=unhealthy_detail(deployed.report.services),
        )
        self.deployed = deployed


def _apply(workspace: Workspace, lock_path: Path) -> Plan:
    outdir = workspace.layout.outdir(workspace.project)
    terraform, saved, plan = make_plan(workspace, lock_path, outdir)
    _build(workspace, terraform.directory, plan)
    workspace.step(f"Applying: {plan.summary}" if plan.changes else "No changes to any container")
    if not plan.empty:
        terraform.apply(saved, workspace.progress)
    saved.unlink(missing_ok=True)
    return plan


def _build(workspace: Workspace, stack: Path, plan: Plan) -> None:
    """Build what the plan will need, while everything still runs."""
    wanted = [c.address for c in plan.changes if c.action in ("create", "replace")]
    images = image_builder.blocks(stack, wanted)
    missing = [image for image in images if not workspace.engine.has_image(image["name"])]
    if missing:
        names = ", ".join(image["name"] for image in missing)
        workspace.step(f"Building {len(missing)} image{'s' * (len(missing) != 1)}: {names}")
        image_builder.build_all(
            workspace.host.docker, missing, workspace.directory / "log", workspace.progress
        )


def _restart(workspace: Workspace, services: Sequence[str], before: set[str]) -> None:
    """Restart apps whose secret environment changed, unless their container is new anyway."""
    for container in workspace.engine.containers(workspace.project):
        if container.role == "app" and container.service in services and container.id in before:
            workspace.progress(f"{container.service}: restarting, its secret environment changed")
            workspace.engine.restart(container)
