"""Health: the same proof as after a deploy, at any time."""

from __future__ import annotations

from iac_wrapper.model.report import ProjectReport
from iac_wrapper.operations import leaves, schedules, stopped_containers, unfinished_rollout
from iac_wrapper.operations.first_starts import with_unstarted
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
    unfinished_rollout.warn(workspace)
    stopped_containers.warn(workspace, lock)
    leaves.warn_of_ends(workspace, lock)
    schedules.warn(workspace)
    report = verify(workspace, lock, wait=wait, exactly=True)
    return with_unstarted(workspace, lock, report)
