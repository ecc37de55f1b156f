"""Rollback: services become again what they had after an earlier release, and are proven.

From the lock that the ledger keeps: nothing is resolved, fetched, detected or built. The rollout is
that of a deploy.
"""

from __future__ import annotations

from collections.abc import Sequence

from iac_wrapper.operations import history, local_bases
from iac_wrapper.operations.deploy import DeployResult, bring, judged
from iac_wrapper.operations.hooks import hooked
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
        HookError: the hook ``pre-deploy`` failed; nothing has changed.
        IacError, DeployUnhealthyError: as in a deploy.
    """
    with hooked(workspace, KIND) as (release, hooks):
        with workspace.hold("iac rollback"), release.recorded():
            target = find(workspace, names, to=to)
            release.of = {"to": target.entry.number, "named": sorted(target.named)}
            found = ProjectFacts(target.lock, {})
            path = history.lock_path(workspace)
            rolled = bring(workspace, release, found, target.named, path, hooks=hooks)
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
