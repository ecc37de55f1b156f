"""One-offs: a pair of containers that runs one command as a service, beside that service.

Its Envoy has the service's certificate and network, its app the service's image, environment,
secrets and volumes. Nobody finds it under the service's name, and Terraform does not know it.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from constructs_lib import foreign_container
from iac_wrapper.adapters import engine_changes, engine_exec, planned_containers, state
from iac_wrapper.adapters.engine import Container
from iac_wrapper.adapters.engine_exec import Connection
from iac_wrapper.adapters.planned_containers import PlannedContainer
from iac_wrapper.errors import CommandError
from iac_wrapper.files import env_files
from iac_wrapper.files.layout import container_name
from iac_wrapper.model import labels, one_off, users
from iac_wrapper.model.mesh import PORTS
from iac_wrapper.model.one_off import Record
from iac_wrapper.operations import parked, run_folder
from iac_wrapper.operations.last_lines import last_lines
from iac_wrapper.operations.workspace import Workspace

READY_SECONDS = 30
"""How long the Envoy of a one-off may take; measured: below a second."""

_ENVOY = f"{labels.RUN}envoy"
_APP = f"{labels.RUN}app"

_WHEN_READY = f"""
import http.client, sys, time
end = time.monotonic() + {READY_SECONDS}
while True:
    try:
        connection = http.client.HTTPConnection("127.0.0.1", {PORTS["stats"]}, timeout=1)
        connection.request("GET", "/ready")
        if connection.getresponse().status == 200:
            sys.exit()
    except OSError:
        pass
    if time.monotonic() > end:
        sys.exit(1)
    time.sleep(0.02)
"""


@dataclass(frozen=True)
class Recipe:
    """What a one-off of `service` is made of: both containers of a version, and their images.

    `values` are the secret ones of a version that is not deployed yet; None: those that are.
    """

    service: str
    containers: Mapping[str, PlannedContainer]
    envoy_image: str
    app_image: str
    values: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Running:
    """A one-off that was started: the id of its app's container, and the way to its command."""

    record: Record
    app: str
    connection: Connection | None


def recorded(workspace: Workspace, service: str) -> Recipe:
    """The recipe for the version of a service that is deployed, running or not.

    Raises:
        ConfigError: nothing is deployed, or no such service.
    """
    lock = workspace.deployed_lock()
    bodies = state.bodies(workspace.layout.state(workspace.project), "docker_container")
    found = {c.role: c for c in planned_containers.recorded(bodies) if c.service == service}
    if not {"envoy", "app"} <= found.keys():
        raise parked.unknown_service(workspace, service, [app.name for app in lock.apps])
    images = {role: str(found[role].values["image"]) for role in ("envoy", "app")}
    return Recipe(service, found, images["envoy"], images["app"])


def start(
    workspace: Workspace, recipe: Recipe, record: Record, *, terminal: bool, attached: bool
) -> Running:
    """Start the pair of a one-off, its command when the mesh is there.

    Args:
        terminal: whether the command has one.
        attached: whether somebody talks to it; else its input is empty.

    Raises:
        CommandError: the engine refused, or its Envoy does not come up; nothing is left.
    """
    connection: list[Connection] = []

    def attach(made: str) -> None:
        if attached:
            connection.append(engine_exec.attach(workspace.engine, made, terminal=terminal))

    try:
        envoy = _start_envoy(workspace, recipe, record)
        body = _app_body(workspace, recipe, record, envoy)
        body |= {"Tty": terminal, "OpenStdin": attached, "StdinOnce": attached}
        name = container_name(workspace.project, record.id, _APP)
        app = engine_changes.create(workspace.engine, name, body, before_start=attach)
    except BaseException:
        remove(workspace, record.id)
        raise
    return Running(record, app, connection[0] if connection else None)


@contextmanager
def lasting(
    workspace: Workspace, recipe: Recipe, command: Sequence[str], *, terminal: bool
) -> Iterator[Running]:
    """A one-off that somebody talks to, for the length of a block: nothing of it is left."""
    record, lock = run_folder.begin(workspace, recipe.service, command, "run")
    try:
        running = start(workspace, recipe, record, terminal=terminal, attached=True)
        try:
            yield running
        finally:
            if running.connection:
                running.connection.close()
            stop(workspace, record.id)
    finally:
        run_folder.folder(workspace, record.id).remove()
        run_folder.let_go(lock)


def pairs(workspace: Workspace) -> dict[str, dict[str, Container]]:
    """The containers of every one-off, by id and role."""
    found: dict[str, dict[str, Container]] = {}
    for container in workspace.engine.containers(workspace.project):
        if container.role.startswith(labels.RUN):
            name = container.name.removeprefix(f"{workspace.project}-")
            identifier = name.removesuffix(f"-{container.role}")
            found.setdefault(identifier, {})[container.role] = container
    return found


def app_of(pair: Mapping[str, Container]) -> Container | None:
    """The one that runs the command; None if it is gone."""
    return pair.get(_APP)


def stop(workspace: Workspace, identifier: str) -> None:
    """End a one-off, its command in order, and remove it."""
    try:
        if app := app_of(pairs(workspace).get(identifier, {})):
            engine_changes.stop(workspace.engine, app)
    finally:
        remove(workspace, identifier)


def remove(workspace: Workspace, identifier: str) -> None:
    """Remove the pair of a one-off at once; its log stays. Gone is fine."""
    for container in _apps_first(pairs(workspace).get(identifier, {})):
        workspace.engine.remove(container)
    own = workspace.layout.run_env_files(workspace.project, identifier)
    shutil.rmtree(own, ignore_errors=True)


def discard(workspace: Workspace, services: Collection[str] | None = None) -> None:
    """Remove the one-offs (of some services), whoever waits for them."""
    for identifier in pairs(workspace):
        if services is None or one_off.service_of(identifier) in services:
            remove(workspace, identifier)


def _start_envoy(workspace: Workspace, recipe: Recipe, record: Record) -> str:
    body = planned_containers.beside(
        recipe.containers["envoy"], image=recipe.envoy_image, sources={}, prefix=labels.RUN
    )
    name = container_name(workspace.project, record.id, _ENVOY)
    envoy = engine_changes.create(workspace.engine, name, _once(body))
    wait = ("/opt/iac/python3", "-I", "-S", "-c", _WHEN_READY)
    code, _ = engine_exec.run_exec(workspace.engine, envoy, wait)
    if code:
        lines = last_lines(workspace, workspace.engine.container(envoy), 20)
        raise CommandError(
            f"the sidecar of the one-off {record.id} did not come up",
            expected=f"it is ready within {READY_SECONDS} s",
            next_step="iac health says whether those of the services are well",
            detail="\n".join(lines),
        )
    return envoy


def _app_body(workspace: Workspace, recipe: Recipe, record: Record, envoy: str) -> dict[str, Any]:
    layout, project = workspace.layout, workspace.project
    sources: dict[Path, Path] = {}
    if recipe.values is not None:
        own = layout.run_env_files(project, record.id)
        env_files.write_values(own, recipe.values)
        sources = {layout.env_files(project, recipe.service): own}
    body = planned_containers.beside(
        recipe.containers["app"],
        image=recipe.app_image,
        network_mode=f"container:{envoy}",
        sources=sources,
        prefix=labels.RUN,
    )
    if one_off.has_runner(engine_exec.image_entrypoint(workspace.engine, recipe.app_image)):
        argv = one_off.as_program(record.command)
        # The command takes the place of runner and program: nobody has to change users.
        body["User"] = users.program_of(body["Labels"][labels.UIDS])
        body["HostConfig"]["CapAdd"] = None
    else:
        recorded = recipe.containers["app"].values["entrypoint"] or ()
        argv = foreign_container.in_place_of_program(recorded, record.command)
    body["Entrypoint"], body["Cmd"] = [argv[0]], list(argv[1:])
    return _once(body)


def _once(body: dict[str, Any]) -> dict[str, Any]:
    body["HostConfig"]["RestartPolicy"] = {"Name": "no"}
    return body


def _apps_first(pair: Mapping[str, Container]) -> list[Container]:
    return [pair[role] for role in (_APP, _ENVOY) if role in pair]
