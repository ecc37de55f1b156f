"""Which container has the traffic of a service: the recorded one, or a candidate's in its place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from iac_wrapper.adapters.engine import Container
from iac_wrapper.files.layout import container_name, live_name
from iac_wrapper.model import labels
from iac_wrapper.operations.workspace import Workspace

Role = Literal["envoy", "app"]

ROLES: tuple[Role, ...] = ("envoy", "app")
"""Of a pair, the one that takes calls first."""


def pair_names(project: str, service: str, exists: Callable[[str], object]) -> dict[Role, str]:
    """The names of the two containers that callers of `service` reach, there or not.

    During a rollout, and after one that did not end, they are the candidate's.

    Args:
        exists: whether there is a container of a name.
    """
    live = live_name(project, service)
    if exists(live):
        return {"envoy": live, "app": container_name(project, service, f"{labels.CANDIDATE}app")}
    return {role: container_name(project, service, role) for role in ROLES}


def carrier(workspace: Workspace, service: str, role: Role) -> Container | None:
    """What callers of `service` reach: its Envoy container, or the program's behind that.

    Returns:
        None: it is not there.
    """
    find = workspace.engine.container
    return find(pair_names(workspace.project, service, find)[role])
