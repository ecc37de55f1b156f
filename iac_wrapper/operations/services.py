"""The services of a project at a glance: what they say of themselves and what the engine knows.

A look, not the proof that `iac health` is: no program is asked, nothing is started or changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from iac_wrapper.adapters import capacity, engine_load
from iac_wrapper.adapters.engine import Container
from iac_wrapper.model.app import ResolvedApp
from iac_wrapper.model.certificate import spiffe_id
from iac_wrapper.model.health import Health
from iac_wrapper.model.load import Load
from iac_wrapper.operations import ingress, leaves, stopped_containers
from iac_wrapper.operations.carrier import pair_names
from iac_wrapper.operations.foreign_program import ask_of
from iac_wrapper.operations.parked import ParkedService, parked_services
from iac_wrapper.operations.stopped_containers import StoppedContainer
from iac_wrapper.operations.verify import (
    LOOK_SECONDS,
    Target,
    container_state,
    control_plane,
    resting_services,
)
from iac_wrapper.operations.workspace import Workspace


@dataclass(frozen=True)
class ServiceRow:
    """One service. `container` is its program's (None: gone), `urls` where people reach it, `load`
    what the program uses now (None: it does not run, or nobody asked)."""

    app: ResolvedApp
    identity: str
    health: Health
    container: Container | None
    urls: tuple[str, ...]
    load: Load | None = None

    @property
    def since(self) -> datetime | None:
        """From when on it has been running (UTC); None: it is not, or has done its work."""
        if self.health.way not in ("SERVING", "RUNNING"):
            return None
        return self.health.since or (self.container.started_at if self.container else None)

    @property
    def restarts(self) -> int:
        """Starts after the first one: of the program in its container, and of that."""
        return self.health.restarts + (self.container.restarts if self.container else 0)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        health = self.health
        return {
            "name": self.app.name,
            "slug": self.app.slug,
            "commit": self.app.commit,
            "tree": self.app.tree,
            "image": self.app.image,
            "state": health.way,
            "status": health.status,
            "phase": health.phase,
            "cause": health.cause or None,
            "message": health.message,
            "port": health.port,
            "protocol": health.protocol,
            "urls": list(self.urls),
            "identity": self.identity,
            "identity_proven": health.identity == self.identity,
            "certificate_expires": health.expires and health.expires.isoformat(),
            "since": self.since and self.since.isoformat(),
            "restarts": self.restarts,
            "container": container_state(health, self.container),
            "processors": None if self.load is None else round(self.load.processors, 3),
            "memory_bytes": self.load and self.load.memory,
            "memory_limit_bytes": self.load and self.load.limit,
        }


@dataclass(frozen=True)
class Status:
    """A project at a glance. `engine` is its version, `disk_mb` what is free for images and
    volumes there (None: it cannot be seen from here), `stopped` what should run and does not, and
    `parked` the services that a person stopped."""

    services: list[ServiceRow]
    engine: str
    disk_mb: int | None
    stopped: list[StoppedContainer] = field(default_factory=list)
    parked: Sequence[ParkedService] = ()

    @property
    def good(self) -> bool:
        """Whether every service, and all that stands before them, is as it should be."""
        return not self.stopped and all(row.health.serving for row in self.services)


def status(workspace: Workspace) -> Status:
    """`services` with what they use, and what the engine has left.

    Raises:
        ConfigError, EngineError: as `services`.
    """
    found = workspace.engine.containers(workspace.project)
    rows = services(workspace, found)
    stopped = stopped_containers.of_project(workspace, workspace.deployed_lock(), found)
    names = {row.container.id for row in rows if row.container and row.container.running}
    used = engine_load.loads(workspace.engine, names)
    rows = [replace(row, load=used.get(row.container.id if row.container else "")) for row in rows]
    disk = capacity.free_capacity(workspace.engine).disk if workspace.engine_is_local else None
    parked = parked_services(workspace)
    return Status(rows, workspace.engine.ping(), disk, stopped, parked)


def services(
    workspace: Workspace, containers: Sequence[Container] | None = None
) -> list[ServiceRow]:
    """Every deployed service that is not stopped, by name. `containers` are those of the project,
    where they are known.

    Raises:
        ConfigError: nothing is deployed in this project.
        EngineError: the engine does not answer.
    """
    lock = workspace.deployed_lock()
    leaves.warn_of_ends(workspace, lock)
    if containers is None:
        containers = workspace.engine.containers(workspace.project)
    found = {c.name: c for c in containers}
    resting = resting_services(workspace, [Target(app) for app in lock.apps])
    client = control_plane(workspace, lock)

    def row(app: ResolvedApp) -> ServiceRow:
        names = pair_names(workspace.project, app.name, found.get)
        health = resting.get(app.name)
        if health is None:
            ask = ask_of(workspace, app, names["app"])
            health = client.health(app.name, timeout=LOOK_SECONDS, ask=ask)
            health = stopped_containers.explained(workspace, health, names, found.get)
        identity = spiffe_id(lock.trust_domain, app.name)
        urls = ingress.urls(workspace, lock, app)
        return ServiceRow(app, identity, health, found.get(names["app"]), urls)

    with ThreadPoolExecutor(max(1, min(32, len(lock.apps)))) as pool:
        return list(pool.map(row, lock.apps))
