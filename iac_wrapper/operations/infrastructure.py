"""Synth, plan, apply and destroy: the steps that plan, deploy and destroy share."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

from iac_wrapper.adapters import state, synthesized_stack
from iac_wrapper.adapters.synth import synth
from iac_wrapper.adapters.terraform import Terraform
from iac_wrapper.errors import ConfigError
from iac_wrapper.files import lock_file
from iac_wrapper.files.atomic import write_text
from iac_wrapper.model import labels
from iac_wrapper.model.plan import TerraformPlan
from iac_wrapper.model.provider import PROVIDER_SOURCE, PROVIDER_VERSION
from iac_wrapper.operations import candidates
from iac_wrapper.operations.workspace import Workspace


def make_plan(  # noqa: PLR0913 - what a plan is of, and what is left out of it
    workspace: Workspace,
    lock: Path,
    outdir: Path,
    users: Path | None = None,
    *,
    untouched: Collection[str] = (),
    replaced: Collection[str] = (),
) -> tuple[Terraform, Path, TerraformPlan]:
    """Synthesize `lock` and plan it against the project's state; nothing is changed.

    `users` names a file of uids other than the project's own. Containers of `untouched` services
    stay whatever they are; those of `replaced` ones are made anew whatever they are.
    """
    workspace.step("Synthesizing the cdktf app")
    users = users or workspace.layout.users(workspace.project)
    directory = synth(
        workspace.layout.root,
        workspace.host,
        lock=lock,
        users=users,
        outdir=outdir,
        project=workspace.project,
    )
    if untouched:
        _leave_alone(directory / "cdk.tf.json", untouched)
    terraform = workspace.terraform(directory)
    workspace.step("Planning with Terraform", "plan")
    state.need_room(workspace.layout.state(workspace.project))
    terraform.init()
    saved = directory / "plan.tfplan"
    # The official provider deletes a stopped container when it is asked how that container is.
    present = workspace.engine.containers(workspace.project)
    stopped = any(not c.running and not c.is_one_off for c in present)
    refresh = workspace.has_embedded_provider or not stopped
    if not refresh:
        workspace.warn("containers are stopped, so drift is not checked; `iac heal` starts them")
    anew = synthesized_stack.containers_of(directory, replaced)
    plan = terraform.plan(
        saved, lambda said: workspace.progress(said.text), refresh=refresh, replaced=anew
    )
    if plan.outputs_change and is_recorded(workspace, lock):
        plan = replace(plan, outputs_change=False)
    return terraform, saved, plan


def is_recorded(workspace: Workspace, lock: Path) -> bool:
    """Whether the state's record says what `lock` says, if in the form of an earlier version."""
    return workspace.applied_lock() == lock_file.load_lock(lock)


def _leave_alone(stack: Path, services: Collection[str]) -> None:
    """Let Terraform ignore every change to the containers of `services`.

    The tool's own images or a setting may have changed for all: a service whose new version
    failed then keeps its old containers as they are.
    """
    data = json.loads(stack.read_text(encoding="utf-8"))
    for body in data["resource"].get("docker_container", {}).values():
        if labels.of(body).get(labels.SERVICE) in services:
            body.setdefault("lifecycle", {})["ignore_changes"] = "all"
    write_text(stack, json.dumps(data, indent=2))


def file_hash(path: Path) -> str:
    """SHA-256 of a file, as hex digits: what names a saved plan."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def destroyer(workspace: Workspace) -> Terraform:
    """Terraform over a configuration that holds only the backend and the provider.

    Destroying needs nothing else: so it works without a lock, without Node and after `cdktf.out`
    is gone. What somebody added to the stack may need providers of theirs: these are taken from
    the stack that was synthesized last.
    """
    directory = workspace.directory / "destroy"
    directory.mkdir(parents=True, exist_ok=True)
    config: dict[str, Any] = {
        "terraform": {
            "required_providers": {
                "docker": {"source": PROVIDER_SOURCE, "version": PROVIDER_VERSION}
            },
            "backend": {"local": {"path": str(workspace.layout.state(workspace.project))}},
        },
        "provider": {"docker": [{}]},
    }
    if state.others(workspace.layout.state(workspace.project)):
        config = _with_providers(workspace, config)
    (directory / "cdk.tf.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    return workspace.terraform(directory)


def _with_providers(workspace: Workspace, config: dict[str, Any]) -> dict[str, Any]:
    project = workspace.project
    stack = workspace.layout.outdir(project) / "stacks" / project / "cdk.tf.json"
    try:
        last = json.loads(stack.read_text(encoding="utf-8"))
        required = last["terraform"]["required_providers"]
    except (OSError, ValueError, KeyError, TypeError):
        workspace.warn(f"{stack} is gone, and with it what main.py said of other providers")
        return config
    config["terraform"]["required_providers"] |= required
    return config | {key: last[key] for key in ("provider", "variable", "locals") if key in last}


def check_own(workspace: Workspace) -> None:
    """Refuse a project whose containers were made from another project folder.

    Raises:
        ConfigError: with the folder they belong to.
    """
    own = (workspace.layout.secrets, workspace.layout.data)
    for container in workspace.engine.containers(workspace.project):
        for mount in container.mounts:
            if not any(Path(mount).is_relative_to(folder) for folder in own):
                moved = "if this folder was moved, move it back for that; else work in that folder"
                raise ConfigError(
                    f"project {workspace.project} belongs to another folder on this engine",
                    found=f"{container.name} uses {mount}",
                    expected=f"files below {workspace.layout.root}",
                    next_step=f"{moved}, or choose another project with --project",
                )


def sweep_orphans(workspace: Workspace) -> None:
    """Remove containers and networks of the project that Terraform's state does not know.

    An apply that was killed between "created" and "saved" leaves one; its name would make every
    later apply fail. Call it after a plan: that has shown that no other Terraform is at work.
    Candidates, one-offs and the ways of `iac proxy` are not known to it either, and are left to who
    made them.
    """
    for removed in workspace.engine.sweep(workspace.project, keep=_known(workspace)):
        workspace.warn(f"removed {removed}: it was not in Terraform's state")


def orphans(workspace: Workspace) -> list[str]:
    """The names of the containers that `sweep_orphans` would remove."""
    known = _known(workspace)
    return [c.name for c in workspace.engine.containers(workspace.project) if c.id not in known]


def _known(workspace: Workspace) -> set[str]:
    """The ids of what is in Terraform's state, or somebody's for the time of a command."""
    known = state.resource_ids(workspace.layout.state(workspace.project))
    known |= {
        c.id
        for c in workspace.engine.containers(workspace.project)
        if c.is_one_off or (c.role == labels.OPERATOR and c.running)
    }
    for pair in candidates.pairs(workspace).values():
        known |= {container.id for container in pair.containers}
    return known
