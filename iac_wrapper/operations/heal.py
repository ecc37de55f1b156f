"""Puts right what restart policies leave wrong. Idempotent; called by deploy, health and systemd.

After a restart of the engine, Docker starts containers in no order and does not retry an app whose
Envoy container (the owner of its network namespace) was not up yet. And an app that was running
when its Envoy container restarted sits in the old, dead namespace until it restarts too.
"""

from __future__ import annotations

from iac_wrapper.adapters.engine import Container
from iac_wrapper.operations.workspace import Workspace

STOPPED = ("exited", "created", "dead")


def heal(workspace: Workspace) -> list[str]:
    """Start what should run and is stopped, namespace owners first; return what was done."""
    done: list[str] = []
    containers = workspace.engine.containers(workspace.project)
    for container in containers:
        if container.role != "app" and container.state in STOPPED:
            workspace.engine.start(container)
            done.append(f"started {container.name}")
    owners = {c.id: c for c in workspace.engine.containers(workspace.project)}
    for app in (c for c in containers if c.role == "app"):
        done.extend(_heal_app(workspace, app, owners))
    for action in done:
        workspace.progress(action)
    return done


def _heal_app(workspace: Workspace, app: Container, owners: dict[str, Container]) -> list[str]:
    owner = owners.get(app.network_mode.removeprefix("container:"))
    if owner is None or not owner.running:
        return []
    if app.state in STOPPED:
        workspace.engine.start(app)
        return [f"started {app.name}"]
    if app.running and app.started_at < owner.started_at:
        workspace.engine.restart(app)
        return [f"restarted {app.name}: its network namespace was replaced"]
    return []
