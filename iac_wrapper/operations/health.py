"""Health: the same proof as after a deploy, at any time."""

from __future__ import annotations

from iac_wrapper.adapters import workspace_lock
from iac_wrapper.errors import BusyError
from iac_wrapper.model.report import Report
from iac_wrapper.operations.heal import heal, warn_of_missing
from iac_wrapper.operations.verify import verify
from iac_wrapper.operations.workspace import Workspace


def health(workspace: Workspace, *, wait: float = 0) -> Report:
    """Ask every deployed service over mTLS; `wait` gives each that many seconds to be SERVING.

    Starts what an engine restart left stopped, first; a service that needed it gets the settings'
    health timeout to come up.

    Raises:
        ConfigError: nothing is deployed in this project.
    """
    lock = workspace.deployed()
    workspace.engine.ping()
    healed = _heal_unless_busy(workspace)
    missing = warn_of_missing(workspace)
    longer = healed and not missing and not wait
    return verify(workspace, lock, wait=workspace.settings.health_timeout if longer else wait)


def _heal_unless_busy(workspace: Workspace) -> list[str]:
    """While a deploy is at work, containers are stopped on purpose."""
    try:
        with workspace_lock.hold(workspace.directory, "iac health"):
            return heal(workspace)
    except BusyError:
        return []
