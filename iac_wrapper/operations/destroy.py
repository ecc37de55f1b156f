"""Destroy: remove everything of a project but its data, and prove that nothing else is left."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from dataclasses import dataclass

from iac_wrapper.adapters import state, workspace_lock
from iac_wrapper.errors import CommandError, ConfigError
from iac_wrapper.identity import certificates
from iac_wrapper.model.lock import LockFile
from iac_wrapper.operations import (
    candidates,
    images,
    keeping,
    one_offs,
    operators,
    recording,
    users,
)
from iac_wrapper.operations.infrastructure import check_own, destroyer
from iac_wrapper.operations.workspace import Workspace


@dataclass(frozen=True)
class DestroyResult:
    """What a destroy removed: resources of the state, and strays found by their label; and the data
    volumes and images that it left. `release` is its number in the ledger."""

    resources: int
    swept: tuple[str, ...]
    volumes_kept: tuple[str, ...] = ()
    images_kept: tuple[str, ...] = ()
    release: int = 0


def destroy(workspace: Workspace, *, volumes: bool = False) -> DestroyResult:
    """Remove containers, network, certificates and state of the project, with `volumes` its data
    volumes as well; else these stay, and with them the uids of their services. The last image of
    each service stays for a next deploy, as long as `images` says, and so does the ledger.

    Works from the state and the labels alone; repos.lock.json and `secrets/ca.*` stay. Safe to
    repeat, and after an apply that was cut off.

    Raises:
        CommandError: Terraform or the engine refused, or something is left.
    """
    workspace.engine.ping()
    with workspace.hold("iac destroy"), recording.release(workspace, "destroy") as release:
        check_own(workspace)
        release.start()
        state.need_room(workspace.layout.state(workspace.project))
        keeping.end(workspace)
        before = _last_lock(workspace)
        # They are on the network that Terraform removes.
        candidates.discard(workspace, live=True)
        one_offs.discard(workspace)
        operators.end_all(workspace)
        resources = _destroy_state(workspace)
        workspace.step("Removing what else has the project's label")
        swept = workspace.engine.sweep(workspace.project)
        settled = images.settle(workspace, None, before=before)
        swept += [f"image {name}" for name in settled.removed]
        data = workspace.engine.sweep_volumes(workspace.project) if volumes else []
        swept += data
        kept = tuple(sorted(workspace.engine.volumes(workspace.project)))
        left = [f"volume {name}" for name in kept if not volumes]
        _check_nothing_left(workspace, but=[*left, *(f"image {name}" for name in settled.spare)])
        users.release(workspace, None)
        _remove_files(workspace)
        # Before the lock goes: the next to hold the project would close it.
        release.end(done=[f"{each} removed" for each in data])
        workspace_lock.remove(workspace.directory)
    return DestroyResult(resources, tuple(swept), kept, tuple(settled.spare), release.number)


def _last_lock(workspace: Workspace) -> LockFile | None:
    """What is deployed, as far as that is known."""
    try:
        return workspace.applied_lock()
    except ConfigError:  # a state that cannot be read must not stand in the way
        return None


def _destroy_state(workspace: Workspace) -> int:
    try:
        count = len(state.resource_ids(workspace.layout.state(workspace.project)))
    except ConfigError as error:
        workspace.warn(f"{error.message} ({error.found}); removing by label instead")
        count = 0
    if not count:
        return 0
    workspace.step(f"Destroying {count} resources with Terraform", "remove")
    terraform = destroyer(workspace)
    terraform.init()
    terraform.destroy(lambda said: workspace.progress(said.text, stage="remove"))
    return count


def _check_nothing_left(workspace: Workspace, *, but: Collection[str]) -> None:
    left = [each for each in workspace.engine.leftovers(workspace.project) if each not in but]
    if left:
        raise CommandError(
            f"project {workspace.project} is not completely removed",
            found=", ".join(left),
            next_step="remove them with docker, then run `iac destroy` again",
        )


def _remove_files(workspace: Workspace) -> None:
    certificates.remove_project(workspace.layout.secrets, workspace.project)
    layout, project = workspace.layout, workspace.project
    for folder in (
        layout.project_env_files(project),
        layout.contexts(project),
        layout.outdir(project),
    ):
        shutil.rmtree(folder, ignore_errors=True)
