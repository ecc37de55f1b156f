"""Synth, plan, apply and destroy: the steps that plan, deploy and destroy share."""

from __future__ import annotations

import json
from pathlib import Path

from iac_wrapper.adapters import state
from iac_wrapper.adapters.synth import synth
from iac_wrapper.adapters.terraform import Terraform
from iac_wrapper.model.plan import Plan
from iac_wrapper.operations.workspace import Workspace

PROVIDER_SOURCE = "kreuzwerker/docker"
PROVIDER_VERSION = "3.6.2"
"""The version that the cdktf bindings (cdktf-cdktf-provider-docker 12.0.3) are made from."""


def make_plan(workspace: Workspace, lock: Path, outdir: Path) -> tuple[Terraform, Path, Plan]:
    """Synthesize `lock` and plan it against the project's state; nothing is changed."""
    workspace.step("Synthesizing the cdktf app")
    directory = synth(workspace.layout.root, lock, outdir, workspace.project)
    terraform = workspace.terraform(directory)
    workspace.step("Planning with Terraform")
    terraform.init()
    saved = directory / "plan.tfplan"
    plan = terraform.plan(saved, workspace.progress)
    return terraform, saved, plan


def destroyer(workspace: Workspace) -> Terraform:
    """Terraform over a configuration that holds only the backend and the provider.

    Destroying needs nothing else: so it works without a lock, without Node and after `cdktf.out`
    is gone.
    """
    directory = workspace.directory / "destroy"
    directory.mkdir(parents=True, exist_ok=True)
    config = {
        "terraform": {
            "required_providers": {
                "docker": {"source": PROVIDER_SOURCE, "version": PROVIDER_VERSION}
            },
            "backend": {"local": {"path": str(workspace.layout.state(workspace.project))}},
        },
        "provider": {"docker": [{}]},
    }
    (directory / "cdk.tf.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    return workspace.terraform(directory)


def sweep_orphans(workspace: Workspace) -> None:
    """Remove containers and networks of the project that Terraform's state does not know.

    An apply that was killed between "created" and "saved" leaves one; its name would make every
    later apply fail.
    """
    known = state.resource_ids(workspace.layout.state(workspace.project))
    for removed in workspace.engine.sweep(workspace.project, keep=known):
        workspace.warn(f"removed {removed}: left by an apply that was cut off")
