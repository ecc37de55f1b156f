"""Which container has the traffic of a service: the recorded one, or a candidate's in its place."""

from __future__ import annotations

from typing import Literal

from iac_wrapper.adapters.engine import Container
from iac_wrapper.files.layout import container_name, live_name
from iac_wrapper.model import labels
from iac_wrapper.operations.workspace import Workspace


def carrier(workspace: Workspace, service: str, role: Literal["app", "envoy"]) -> Container | None:
    """What callers of `service` reach: its Envoy container, or the program's behind that.

    During a rollout, and after one that did not end, that is the candidate's.

    Returns:
        None: it is not there.
    """
    engine, project = workspace.engine, workspace.project
    live = engine.container(live_name(project, service))
    if live and role == "envoy":
        return live
    role_of_pair = f"{labels.CANDIDATE}app" if live else role
    return engine.container(container_name(project, service, role_of_pair))
