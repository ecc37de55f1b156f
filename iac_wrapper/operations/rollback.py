"""Rollback: services become again what they had after an earlier release, and are proven.

From the lock that the ledger keeps: nothing is resolved, fetched, detected or built. The rollout is
that of a deploy.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from iac_wrapper.errors import ConfigError
from iac_wrapper.files import lock_file
from iac_wrapper.operations import history, local_bases, recording
from iac_wrapper.operations.deploy import DeployResult, bring, judged
from iac_wrapper.operations.intent import SLUGS_LOCK
from iac_wrapper.operations.plan import PlanResult, plan_lock
from iac_wrapper.operations.prepare import ProjectFacts
from iac_wrapper.operations.rollback_target import KIND, find
from iac_wrapper.operations.workspace import Workspace


def rollback(
    workspace: Workspace, names: Sequence[str] = (), *, to: int | None = None
) -> DeployResult:
    """Bring `names` (all, if there are none) back to what they had after release `to`, and prove
    it; None: the release before the one that serves, of those that were good.

    Raises:
        UnknownReleaseError, ConfigError, CertificateError: it cannot be; nothing has changed.
        IacError, DeployUnhealthyError: as in a deploy.
    """
    with workspace.hold("iac rollback"), recording.release(workspace, KIND) as release:
        target = find(workspace, names, to=to)
        release.of = {"to": target.entry.number, "named": sorted(target.named)}
        found, path = ProjectFacts(target.lock, {}), _lock_path(workspace)
        rolled = bring(workspace, release, found, target.named, path)
        local_bases.save_bases(workspace, (), rolled.lock)
    workspace.progress(
        f"the next `iac deploy {workspace.list_arguments}` brings back what repos.yaml says"
    )
    return judged(workspace, rolled, release.number)


def plan(workspace: Workspace, names: Sequence[str] = (), *, to: int | None = None) -> PlanResult:
    """What `rollback` would change; changes nothing.

    Raises:
        UnknownReleaseError, ConfigError, CertificateError: as `rollback`.
    """
    with workspace.hold("iac rollback --dry-run"):
        target = find(workspace, names, to=to)
        return plan_lock(workspace, target.lock, target.named)


def _lock_path(workspace: Workspace) -> Path:
    """The lock beside the list that was deployed last, if it is still this project's; else the one
    of slugs alone."""
    said = (entry.facts.get("lock_file") for entry in history.history(workspace).entries)
    for path in dict.fromkeys(Path(text) for text in said if text):
        with suppress(ConfigError):
            if lock_file.load_lock(path).project == workspace.project:
                return path
    return workspace.directory / SLUGS_LOCK
