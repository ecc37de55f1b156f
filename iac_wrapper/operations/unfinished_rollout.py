"""What a deploy that was killed left behind: candidates, with or without the traffic.

A candidate without traffic goes. One that has it stays until the recorded pair is proven: it may
be all that serves.
"""

from __future__ import annotations

from iac_wrapper.adapters import workspace_lock
from iac_wrapper.files.layout import container_name
from iac_wrapper.model.lock import LockFile
from iac_wrapper.operations import candidates
from iac_wrapper.operations.foreign_program import ask_of
from iac_wrapper.operations.verify import LOOK_SECONDS, control_plane
from iac_wrapper.operations.workspace import Workspace


def settle(workspace: Workspace, before: LockFile | None) -> None:
    """Remove the candidates that nothing depends on. Call it with the project held."""
    found = candidates.pairs(workspace)
    done = {name for name in found if not found[name].live or _serves(workspace, before, name)}
    for name in sorted(done):
        workspace.warn(f"{name}: removing the candidate of an unfinished deploy")
    candidates.retire(workspace, done)


def warn(workspace: Workspace) -> None:
    """Name the services whose traffic a candidate has, unless a command is at work on that."""
    if workspace_lock.holder(workspace.directory):
        return
    for service, pair in sorted(candidates.pairs(workspace).items()):
        if pair.live:
            workspace.warn(
                f"{service}: the candidate of an unfinished deploy has the traffic;"
                " `iac deploy` finishes it"
            )


def recorded_envoys(workspace: Workspace) -> dict[str, str]:
    """The recorded Envoy containers to ask where a candidate has the name, by service."""
    found = candidates.pairs(workspace)
    project = workspace.project
    return {name: container_name(project, name, "envoy") for name in found if found[name].live}


def _serves(workspace: Workspace, before: LockFile | None, service: str) -> bool:
    apps = {app.name: app for app in before.apps} if before else {}
    if before is None or service not in apps:
        return True  # nobody's service: there is nothing to wait for
    ask = ask_of(workspace, apps[service], container_name(workspace.project, service, "app"))
    name = container_name(workspace.project, service, "envoy")
    client = control_plane(workspace, before)
    return client.health(service, timeout=LOOK_SECONDS, sni=name, ask=ask).serving
