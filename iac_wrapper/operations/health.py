"""Health: the same proof as after a deploy, at any time."""

from __future__ import annotations

from iac_wrapper.errors import BusyError
from iac_wrapper.model.report import ProjectReport
from iac_wrapper.operations import policy, schedules
from iac_wrapper.operations.first_starts import with_unstarted
from iac_wrapper.operations.heal import heal, needs_healing, warn_of_missing
from iac_wrapper.operations.run import tidy
from iac_wrapper.operations.verify import verify
from iac_wrapper.operations.workspace import Workspace


def health(workspace: Workspace, *, wait: float = 0) -> ProjectReport:
    """Ask every deployed service over mTLS; `wait` gives each that many seconds to be SERVING.

    What the last deploy was to start and did not is told as well.

    Starts what an engine restart left stopped, first; after that, services get the time
    of a deploy to come up.

    Raises:
        ConfigError: nothing is deployed in this project.
    """
    lock = workspace.deployed_lock()
    workspace.engine.ping()
    tidy(workspace)
    healed = _heal_unless_busy(workspace)
    missing = warn_of_missing(workspace)
    schedules.warn(workspace)
    longer = healed and not missing and not wait
    limit = workspace.settings.health_timeout if longer else wait
    report = verify(workspace, lock, wait=limit, exactly=not longer)
    return with_unstarted(workspace, lock, report)


def _heal_unless_busy(workspace: Workspace) -> list[str]:
    """While a deploy is at work, containers are stopped on purpose.

    The lock is taken only if there is something to do: who watches the project all the time would
    now and then turn a deploy away.
    """
    lock = workspace.deployed_lock()
    if not needs_healing(workspace) and not policy.stale(workspace, lock):
        return []
    try:
        with workspace.hold("iac health"):
            return heal(workspace)
    except BusyError:
        return []
