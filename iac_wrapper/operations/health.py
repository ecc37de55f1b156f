"""Health: the same proof as after a deploy, at any time."""

from __future__ import annotations

from iac_wrapper.model.report import ProjectReport
from iac_wrapper.operations import leaves, schedules
from iac_wrapper.operations.first_starts import with_unstarted
from iac_wrapper.operations.heal import stopped_by_people, warn_of_missing
from iac_wrapper.operations.run import tidy
from iac_wrapper.operations.verify import verify
from iac_wrapper.operations.workspace import Workspace


def health(workspace: Workspace, *, wait: float = 0) -> ProjectReport:
    """Ask every deployed service over mTLS; `wait` gives each that many seconds to be SERVING.

    What the last deploy was to start and did not is told as well.

    It only looks: what is down stays down.

    Raises:
        ConfigError: nothing is deployed in this project.
    """
    lock = workspace.deployed_lock()
    workspace.engine.ping()
    tidy(workspace)
    warn_of_missing(workspace)
    leaves.warn_of_ends(workspace, lock)
    schedules.warn(workspace)
    for name in stopped_by_people(workspace):
        workspace.warn(f"{name} was stopped by hand; `iac heal` starts it")
    report = verify(workspace, lock, wait=wait, exactly=True)
    return with_unstarted(workspace, lock, report)
