"""Candidates: a new version as a pair of containers beside the recorded one.

Terraform does not know them. While the Envoy container of a pair has its candidate's name, nobody
finds it but who asks for that name; under its live name, every caller of the service does.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from iac_wrapper.adapters import engine_changes, planned_containers
from iac_wrapper.adapters.engine import Container
from iac_wrapper.adapters.planned_containers import PlannedContainer
from iac_wrapper.files import env_files
from iac_wrapper.files.layout import candidate_name, container_name, live_name
from iac_wrapper.model import labels
from iac_wrapper.model.app import ResolvedApp
from iac_wrapper.model.limits import MAX_PROCESSES
from iac_wrapper.model.lock import LockFile
from iac_wrapper.model.report import ServiceReport
from iac_wrapper.operations import policy, verify
from iac_wrapper.operations.foreign_program import ask_of
from iac_wrapper.operations.verify import Target
from iac_wrapper.operations.workspace import Workspace

MOVE_SECONDS = 3.0
"""How long callers may take to follow a name: their answers live for 1 s, and are asked for anew
every second; half as much again."""

MAX_AT_ONCE = 8
"""Containers that are made or stopped side by side."""

_ENVOY = f"{labels.CANDIDATE}envoy"
_APP = f"{labels.CANDIDATE}app"


@dataclass(frozen=True)
class Pair:
    """The candidate of one service; after a crash one of the two may be missing."""

    service: str
    envoy: Container | None
    app: Container | None
    live: bool

    @property
    def containers(self) -> tuple[Container, ...]:
        """What is there, the one that takes calls first."""
        return tuple(c for c in (self.envoy, self.app) if c)


def pairs(workspace: Workspace) -> dict[str, Pair]:
    """Every candidate of the project, by service."""
    return among(workspace.project, workspace.engine.containers(workspace.project))


def among(project: str, containers: Iterable[Container]) -> dict[str, Pair]:
    """The candidates among the containers of a project, by service."""
    by_service: dict[str, dict[str, Container]] = {}
    for container in containers:
        if container.role.startswith(labels.CANDIDATE):
            by_service.setdefault(container.service, {})[container.role] = container
    return {name: _pair(project, name, found) for name, found in by_service.items()}


Try = tuple[ResolvedApp, Mapping[str, PlannedContainer], Mapping[str, str]]
"""A version to try: its entry, both containers as the plan has them, its secret values."""


def start(workspace: Workspace, tries: Sequence[Try]) -> None:
    """Start candidates side by side.

    Raises:
        CommandError: the engine refused one; others may have been started.
    """
    with ThreadPoolExecutor(MAX_AT_ONCE) as pool:
        list(pool.map(lambda one: _start(workspace, *one), tries))


def _start(
    workspace: Workspace,
    app: ResolvedApp,
    wanted: Mapping[str, PlannedContainer],
    values: Mapping[str, str],
) -> None:
    layout, project = workspace.layout, workspace.project
    staged = layout.candidate_env_files(project, app.name)
    env_files.write_values(staged, values)
    body = planned_containers.beside(
        wanted["envoy"], image=workspace.host.sidecar_image, sources={}
    )
    envoy = engine_changes.create(workspace.engine, candidate_name(project, app.name), body)
    body = planned_containers.beside(
        wanted["app"],
        image=app.image,
        network_mode=f"container:{envoy}",
        sources={layout.env_files(project, app.name): staged},
    )
    if app.foreign:
        body["HostConfig"]["PidsLimit"] = MAX_PROCESSES
    engine_changes.create(workspace.engine, container_name(project, app.name, _APP), body)


def prove_candidates(
    workspace: Workspace, before: LockFile, apps: Sequence[ResolvedApp], *, ended: bool = False
) -> list[ServiceReport]:
    """Prove candidates through the gateway as it is in `before`; one look at live ones that
    `ended`, to say why."""
    project = workspace.project
    name = live_name if ended else candidate_name
    targets = [
        Target(
            app,
            sni=name(project, app.name),
            containers={
                "envoy": name(project, app.name),
                "app": container_name(project, app.name, _APP),
            },
            limit=0.0 if ended else None,
            ended=ended,
            tried=True,
        )
        for app in apps
    ]
    return verify.prove_targets(workspace, before, targets, wait=workspace.settings.health_timeout)


def ended(workspace: Workspace, lock: LockFile, proven: Mapping[str, int]) -> list[str]:
    """Services whose live candidate is not the start of the program any more that was proven, or
    waits for its next one.

    Args:
        proven: the incarnation of that start, by service.
    """
    client, apps = verify.control_plane(workspace, lock), {app.name: app for app in lock.apps}

    def has_ended(service: str) -> bool:
        project = workspace.project
        sni, container = live_name(project, service), container_name(project, service, _APP)
        ask = ask_of(workspace, apps[service], container)
        health = client.health(service, timeout=verify.LOOK_SECONDS, sni=sni, ask=ask)
        waits = bool(health.failures) and not health.serving
        return waits or health.incarnation not in (0, proven[service])

    with ThreadPoolExecutor(MAX_AT_ONCE) as pool:
        found = zip(proven, pool.map(has_ended, proven), strict=True)
        return [service for service, gone in found if gone]


def go_live(workspace: Workspace, services: Collection[str]) -> None:
    """Move the traffic of these services to their candidates."""
    found = pairs(workspace)
    for service in services:
        if envoy := found[service].envoy:
            engine_changes.rename(workspace.engine, envoy, live_name(workspace.project, service))
    if services:
        time.sleep(MOVE_SECONDS)


def retire(workspace: Workspace, services: Collection[str]) -> None:
    """Give the traffic back to the recorded pairs; let the candidates drain and remove them."""
    going = [pair for name, pair in pairs(workspace).items() if name in services]
    live = [pair for pair in going if pair.live]
    for pair in live:
        if pair.envoy:
            name = candidate_name(workspace.project, pair.service)
            engine_changes.rename(workspace.engine, pair.envoy, name)
    if live:
        time.sleep(MOVE_SECONDS)
        policy.refresh(workspace)  # the candidates were told instead, as they had the names
    with ThreadPoolExecutor(MAX_AT_ONCE) as pool:
        list(pool.map(lambda pair: _drain(workspace, pair), going))


def discard(
    workspace: Workspace, services: Collection[str] | None = None, *, live: bool = False
) -> None:
    """Remove candidates (of some services) at once, with `live` also those with traffic."""
    for name, pair in pairs(workspace).items():
        if (live or not pair.live) and (services is None or name in services):
            _remove(workspace, pair)


def _pair(project: str, service: str, found: Mapping[str, Container]) -> Pair:
    envoy = found.get(_ENVOY)
    live = envoy is not None and envoy.name == live_name(project, service)
    return Pair(service, envoy, found.get(_APP), live)


def _drain(workspace: Workspace, pair: Pair) -> None:
    # Envoy first: it lets the calls that are in flight end, while the program still answers them.
    for container in pair.containers:
        engine_changes.stop(workspace.engine, container)
    _remove(workspace, pair)


def _remove(workspace: Workspace, pair: Pair) -> None:
    for container in reversed(pair.containers):
        workspace.engine.remove(container)
    staged = workspace.layout.candidate_env_files(workspace.project, pair.service)
    shutil.rmtree(staged, ignore_errors=True)
