"""Ways that people have open to services of the project, whoever opened them.

They belong to a person's `iac proxy`, not to what is deployed: nothing starts or repairs them.
"""

from __future__ import annotations

from iac_wrapper.model import labels
from iac_wrapper.operations.workspace import Workspace


def end_all(workspace: Workspace) -> None:
    """End them all: they are on the project's network, which is about to go."""
    for container in workspace.engine.containers(workspace.project):
        if container.role == labels.OPERATOR:
            workspace.warn(f"{container.service}: ending the `iac proxy` that is open")
            workspace.engine.remove(container)
