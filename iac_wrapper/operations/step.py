"""One plan and its apply: what deploy, the way back and remove do the same way."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from iac_wrapper.adapters import image_builder, planned_containers, synthesized_stack
from iac_wrapper.adapters.engine import Container
from iac_wrapper.adapters.terraform import Sentence, Terraform
from iac_wrapper.files import lock_file
from iac_wrapper.model import labels
from iac_wrapper.model.lock import LockFile
from iac_wrapper.model.plan import TerraformPlan
from iac_wrapper.operations import operators, policy
from iac_wrapper.operations.image_builds import build_images
from iac_wrapper.operations.infrastructure import file_hash, make_plan, sweep_orphans
from iac_wrapper.operations.pausing import foreign_programs, paused
from iac_wrapper.operations.workspace import Workspace

_PARTS = {"envoy": "sidecar", "app": "program"}
"""What the containers of a service are called."""


@dataclass(frozen=True)
class Step:
    """A saved plan for `lock` that nobody has applied yet; `hash` is its SHA-256."""

    lock: LockFile
    terraform: Terraform
    plan_file: Path
    plan: TerraformPlan
    hash: str


def prepare(
    workspace: Workspace,
    lock: LockFile,
    untouched: Collection[str] = (),
    *,
    replaced: Collection[str] = (),
) -> Step:
    """Plan `lock`, but for the containers of `untouched` services; those of `replaced` ones are
    made anew whatever they are. Nothing is changed."""
    # A copy: the repos file, and so the lock beside it, may be another project's as well.
    own = workspace.directory / "deploy.lock.json"
    lock_file.save_lock(lock, own)
    outdir = workspace.layout.outdir(workspace.project)
    terraform, saved, plan = make_plan(
        workspace, own, outdir, untouched=untouched, replaced=replaced
    )
    return Step(lock, terraform, saved, plan, file_hash(saved))


def build(workspace: Workspace, step: Step) -> None:
    """Build what the plan will need, while everything still runs."""
    wanted = [c.address for c in step.plan.changes if c.action in ("create", "replace")]
    images = image_builder.blocks(step.terraform.directory, wanted)
    missing = [image for image in images if not workspace.engine.has_image(image["name"])]
    if missing:
        names = ", ".join(image["name"] for image in missing)
        workspace.step(f"Building {len(missing)} image{'s' * (len(missing) != 1)}: {names}")
        build_images(workspace, missing)


def apply(workspace: Workspace, step: Step) -> None:
    """Apply the plan, exactly that; then tell sidecars who may call them."""
    sweep_orphans(workspace)
    if any(
        c.address.startswith("docker_network.") and c.action != "create" for c in step.plan.changes
    ):
        operators.end_all(workspace)
    workspace.step(_summary(step.plan), "apply")
    if not step.plan.empty:
        owners = synthesized_stack.owners(step.terraform.directory)

        def say(said: Sentence) -> None:
            service, role = owners.get(said.address, ("", ""))
            workspace.progress(said.text, stage="apply" if said.address else None)
            if part := _PARTS.get(role):
                workspace.stage(service, "apply", f"{part}: {said.words}")

        with paused(workspace, _stopped(workspace, step)):
            step.terraform.apply(step.plan_file, say)
    policy.feed(workspace, step.lock)
    step.plan_file.unlink(missing_ok=True)


def _stopped(workspace: Workspace, step: Step) -> list[Container]:
    """The foreign programs of services of which a container goes."""
    if not any(change.action in ("replace", "delete") for change in step.plan.changes):
        return []
    programs = foreign_programs(workspace)
    if not programs:  # of most projects: then Terraform is not asked once more
        return []
    shown = step.terraform.show(step.plan_file)
    going = {c.service for c in planned_containers.containers(shown) if "delete" in c.actions}
    return [program for program in programs if program.service in going]


def _summary(plan: TerraformPlan) -> str:
    if any(change.address != _POLICIES for change in plan.changes):
        return f"Applying: {plan.summary}"
    return "No changes to any container" + "; who may call whom changes" * bool(plan.changes)


_POLICIES = f"{labels.DATA}.iac_policies"
