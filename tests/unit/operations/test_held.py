from __future__ import annotations

from dataclasses import replace

import pytest

from iac_wrapper.adapters import workspace_lock
from iac_wrapper.errors import BusyError
from iac_wrapper.operations.destroy import destroy
from iac_wrapper.operations.workspace import Workspace


def test_an_operation_runs_under_a_lock_that_was_taken_for_it(workspace: Workspace) -> None:
    """It neither waits for it nor frees it; without the lock in hand it is refused."""
    lock = workspace_lock.acquire(workspace.directory, "worker")
    with pytest.raises(BusyError, match="demo is busy"):
        destroy(workspace)
    with replace(workspace, held_lock=lock).hold("iac deploy"):
        pass
    with pytest.raises(BusyError):
        workspace_lock.acquire(workspace.directory, "other")
    assert destroy(replace(workspace, held_lock=lock)).resources == 0
    assert not workspace.directory.exists()
    lock.release()


def test_a_lock_is_good_for_its_own_project_only(workspace: Workspace) -> None:
    """A workspace of another project takes that project's own."""
    lock = workspace_lock.acquire(workspace.directory, "worker")
    other = replace(workspace, project="other", held_lock=lock)
    with other.hold("iac heal"):
        seen = workspace_lock.holder(other.directory)
        assert seen
        assert seen.command == "iac heal"
    lock.release()


def test_destroy_frees_the_project_for_the_next(workspace: Workspace) -> None:
    """Its folder goes with the lock in it; a deploy may follow at once."""
    workspace.directory.mkdir(parents=True)
    (workspace.directory / "log").mkdir()
    destroy(workspace)
    assert not workspace.directory.exists()
    with workspace.hold("iac deploy"):
        pass
