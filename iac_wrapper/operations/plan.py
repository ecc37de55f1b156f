"""Plan: what a deploy would change. Changes nothing but the source cache."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

from iac_wrapper import lock_file
from iac_wrapper.lock_file import LockFile
from iac_wrapper.model.plan import Plan
from iac_wrapper.operations.deploy import Intent, gather
from iac_wrapper.operations.infrastructure import make_plan
from iac_wrapper.operations.workspace import Workspace


@dataclass(frozen=True)
class Planned:
    """A plan and the facts it was made from."""

    lock: LockFile
    plan: Plan


def plan(workspace: Workspace, intent: Intent) -> Planned:
    """Resolve `intent` and say what Terraform would do about it.

    Raises:
        IacError: a step failed, as in deploy.
    """
    found = gather(workspace, intent)
    directory = workspace.directory / "plan"
    lock_path = directory / "candidate.lock.json"
    lock_file.save(found.lock, lock_path)
    try:
        _, saved, planned = make_plan(workspace, lock_path, directory / "cdktf.out")
        saved.unlink(missing_ok=True)
    finally:
        lock_path.unlink(missing_ok=True)
        if not workspace.layout.state(workspace.project).exists():
            shutil.rmtree(directory, ignore_errors=True)
    return Planned(found.lock, planned)
