"""Start and restart: services run as the lock has them, and are proven as after a deploy."""

from __future__ import annotations

from collections.abc import Sequence

from iac_wrapper.model.intent import Selection
from iac_wrapper.model.lock import LockFile
from iac_wrapper.operations import history, local_bases, parked, recording
from iac_wrapper.operations.deploy import (
    DeployResult,
    bring,
    check_lock,
    check_selection,
    judged,
)
from iac_wrapper.operations.infrastructure import check_own
from iac_wrapper.operations.intent import is_buildable
from iac_wrapper.operations.leaving import check_known
from iac_wrapper.operations.prepare import ProjectFacts, facts
from iac_wrapper.operations.recorded_entries import entries_of
from iac_wrapper.operations.workspace import Workspace


def start(workspace: Workspace, names: Sequence[str]) -> DeployResult:
    """Bring the services `names` back into the stack as they are locked, and prove them.

    Nothing is fetched or built where the images are there. What runs already is proven as well.

    Raises:
        UnknownServiceError: there is no such service; says which there are.
        IacError, DeployUnhealthyError: as in a deploy.
    """
    with workspace.hold("iac start"), recording.release(workspace, "start") as release:
        applied = _deployed(workspace, names)
        selection = _selection(workspace, applied, names)
        check_selection(workspace, selection)
        found = facts(workspace, selection)
        check_lock(workspace, found.lock)
        release.of = {"named": sorted({*names})}
        path = history.lock_path(workspace)
        rolled = bring(workspace, release, found, frozenset(names), path)
        local_bases.save_bases(workspace, (), rolled.lock)
    return judged(workspace, rolled, release.number)


def restart(workspace: Workspace, names: Sequence[str]) -> DeployResult:
    """Replace the containers of the services `names` by new ones of the same version.

    As in a deploy: those that may run twice serve on until their new containers are proven.

    Raises:
        UnknownServiceError: there is no such service; says which there are.
        ConfigError: one is stopped.
        IacError, DeployUnhealthyError: as in a deploy.
    """
    with workspace.hold("iac restart"), recording.release(workspace, "restart") as release:
        applied = _deployed(workspace, names)
        parked.check_none(workspace, applied, names)
        selection = Selection((), applied.apps, None, applied, parked=applied.parked)
        check_selection(workspace, selection)
        check_lock(workspace, applied)
        release.of = {"named": sorted({*names})}
        path, found, named = history.lock_path(workspace), ProjectFacts(applied, {}), {*names}
        rolled = bring(workspace, release, found, frozenset(named), path, restarts=named)
    return judged(workspace, rolled, release.number)


def _deployed(workspace: Workspace, names: Sequence[str]) -> LockFile:
    workspace.host  # noqa: B018 - the set-up brings the engine, and all that comes after it
    workspace.engine.ping()
    check_own(workspace)
    applied = workspace.deployed_lock()
    check_known(workspace, names, [app.name for app in applied.all_apps])
    return applied


def _selection(workspace: Workspace, applied: LockFile, names: Sequence[str]) -> Selection:
    """What is deployed and `names`; those whose image cannot be made any more from what is here
    are fetched anew, at their locked commits."""
    wanted = applied.parking({app.name for app in applied.parked} - {*names})
    came = {app.name for app in wanted.apps} - {app.name for app in applied.apps}
    lost = [a.name for a in wanted.apps if a.name in came and not is_buildable(workspace, a)]
    fresh = entries_of(workspace, lost) if lost else ()
    anew = {spec.name for spec in fresh}
    return Selection(
        fresh=fresh,
        kept_apps=tuple(app for app in wanted.apps if app.name not in anew),
        pinned_lock=applied,
        lock_on_disk=applied,
        environment=applied.environment,
        parked=wanted.parked,
    )
