"""What an apply runs on this machine, and how Terraform calls a resource."""

from __future__ import annotations

import os.path
from collections.abc import Sequence
from pathlib import Path

from constructs_lib.cdk import TerraformResource
from constructs_lib.mesh_props import MeshProps


def address(resource: TerraformResource) -> str:
    """What Terraform calls a resource."""
    return f"{resource.terraform_resource_type}.{resource.friendly_unique_id}"


def local_command(facts: MeshProps, module: str) -> Sequence[str]:
    """The command line that runs a module of ours for the project, but for its last argument: a
    hash of what was planned."""
    directory = facts.outdir / "stacks" / facts.lock.project

    def seen_from_there(path: Path) -> str:
        return os.path.relpath(path, directory)

    folder, lock = seen_from_there(facts.layout.root), seen_from_there(facts.lock_path)
    return [facts.python, "-P", "-m", module, folder, lock]
