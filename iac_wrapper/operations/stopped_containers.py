"""Containers that should run and do not: what is told of them, and which command mends it.

A look: nothing is started. While another process is at work on the project they are stopped on
purpose, and none is named.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from iac_wrapper.adapters import workspace_lock
from iac_wrapper.adapters.engine import Container
from iac_wrapper.files.layout import gateway_name, ingress_name
from iac_wrapper.model.certificate import INGRESS
from iac_wrapper.model.diagnosis import GONE, STOPPED
from iac_wrapper.model.health import Health
from iac_wrapper.model.lock import LockFile
from iac_wrapper.operations import releases
from iac_wrapper.operations.carrier import Role, pair_names
from iac_wrapper.operations.leaves import envoy_name
from iac_wrapper.operations.workspace import Workspace

Find = Callable[[str], Container | None]

_WORDS: dict[Role, str] = {"envoy": "its Envoy container", "app": "its app container"}


@dataclass(frozen=True)
class StoppedContainer:
    """One of them: `what` it is, of which `service` (empty: the project's gateway or ingress), and
    why it does not run. `evidence` is what the engine says."""

    name: str
    service: str
    what: str
    cause: str
    why: str
    evidence: str
    next_step: str

    @property
    def text(self) -> str:
        """A sentence."""
        return f"{self.what} {self.why}"

    @property
    def named(self) -> str:
        """The same with its service."""
        return f"{self.service}: {self.text}" if self.service else self.text

    @property
    def line(self) -> str:
        """The same with what mends it."""
        return f"{self.named}; next: {self.next_step}"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "container": self.name,
            "service": self.service or None,
            "message": self.text,
            "evidence": self.evidence,
            "next_step": self.next_step,
        }


def of_project(
    workspace: Workspace, lock: LockFile, containers: Iterable[Container] | None = None
) -> list[StoppedContainer]:
    """Those of the whole project: of a pair the Envoy's, without which the program has no network.

    Args:
        containers: of the project, where they are known already.
    """
    if _is_at_work(workspace):
        return []
    if containers is None:
        containers = workspace.engine.containers(workspace.project)
    find = {each.name: each for each in containers}.get
    found = [gateway(workspace, find), ingress(workspace, find) if lock.routes else None]
    resting = releases.load_releases(workspace).stopped
    for app in lock.apps:
        if app.name not in resting:
            names = pair_names(workspace.project, app.name, find)
            found.append(next(_of_pair(workspace, app.name, names, find), None))
    return [each for each in found if each]


def warn(workspace: Workspace, lock: LockFile) -> None:
    """Name those of the whole project as warnings."""
    for each in of_project(workspace, lock):
        workspace.warn(each.line)


def explained(
    workspace: Workspace, health: Health, names: Mapping[Role, str], find: Find | None = None
) -> Health:
    """What is said of a service that is not good: a container that does not run is why.

    Args:
        names: of its containers.
        find: a container by name; without it the engine is asked.
    """
    if health.serving or _is_at_work(workspace):
        return health
    find = find or workspace.engine.container
    blind = health.status == "UNREACHABLE" and gateway(workspace, find)
    why = blind or next(_of_pair(workspace, health.name, names, find), None)
    if not why:
        return health
    return replace(
        health,
        cause=why.cause,
        message=why.text,
        evidence=why.evidence,
        next_step=why.next_step,
    )


def unseen(workspace: Workspace, name: str) -> StoppedContainer | None:
    """Why nobody sees which certificate the service `name`, or the ingress, serves."""
    find = workspace.engine.container
    if name == INGRESS:
        return ingress(workspace, find)
    envoy = envoy_name(workspace, name)
    return gateway(workspace, find) or _look(workspace, envoy, name, _WORDS["envoy"], find)


def gateway(workspace: Workspace, find: Find) -> StoppedContainer | None:
    """The project's gateway, if it does not run."""
    return _look(workspace, gateway_name(workspace.project), "", "the gateway", find)


def ingress(workspace: Workspace, find: Find) -> StoppedContainer | None:
    """The project's ingress, if it does not run."""
    return _look(workspace, ingress_name(workspace.project), "", "the ingress", find)


def _of_pair(
    workspace: Workspace, service: str, names: Mapping[Role, str], find: Find
) -> Iterator[StoppedContainer]:
    for role, what in _WORDS.items():
        if found := _look(workspace, names[role], service, what, find):
            yield found


def _is_at_work(workspace: Workspace) -> bool:
    holder = workspace_lock.holder(workspace.directory)
    return holder is not None and holder.pid != os.getpid()


def _look(
    workspace: Workspace, name: str, service: str, what: str, find: Find
) -> StoppedContainer | None:
    container, of_project = find(name), f"--project {workspace.project}"
    if container is None:
        step = f"iac deploy {workspace.list_arguments} {of_project}"
        evidence = f"the engine has no container {name}"
        return StoppedContainer(name, service, what, GONE, "is gone", evidence, step)
    if container.state == "paused":
        why, evidence, step = "is paused", f"{name}: docker pause", f"docker unpause {name}"
    elif container.state in ("exited", "created", "dead") and not container.done:
        step = f"iac heal {of_project}"
        why, evidence = "is stopped", _ended(container)
        if container.start_error:
            why, evidence = "could not be started", f"{name}: {container.start_error}"
    else:
        return None
    return StoppedContainer(name, service, what, STOPPED, why, evidence, step)


def _ended(container: Container) -> str:
    """The engine starts again what ends by itself; it was told to leave this one."""
    if container.finished_at is None:
        return f"{container.name} was not started yet"
    when = f"{container.finished_at:%Y-%m-%d %H:%M:%S} UTC"
    return f"{container.name} was stopped or killed at {when} (exit code {container.exit_code})"
