"""Checks of a project: whose it is, what is deployed, its network and ports, what was left."""

from __future__ import annotations

import time
from dataclasses import replace

from iac_wrapper.adapters import capacity, host_ports, workspace_lock
from iac_wrapper.adapters.workspace_lock import Holder
from iac_wrapper.errors import ConfigError, UnhealthyError
from iac_wrapper.files.layout import DEFAULT_PROJECT
from iac_wrapper.model.checkup import Check, Seen
from iac_wrapper.model.diagnosis import GONE, STOPPED
from iac_wrapper.model.event import Event
from iac_wrapper.operations import (
    candidates,
    hook_files,
    hooks,
    infrastructure,
    keeping,
    network,
    notifications,
    services,
    stopped_containers,
)
from iac_wrapper.operations.doctor.room import room
from iac_wrapper.operations.workspace import Workspace

KEEPER_SECONDS = 10.0
"""How long a keeper may take to start; an idle machine needs one second."""


def folder_is_its_own(workspace: Workspace) -> Seen:
    """The project's containers are made from this folder."""
    infrastructure.check_own(workspace)
    return Seen(f"{workspace.project} in {workspace.layout.root}")


def is_recorded(workspace: Workspace) -> Seen:
    """What runs is what the last deploy recorded."""
    lock = workspace.applied_lock()
    if lock is None:
        if workspace.project in workspace.engine.projects():
            workspace.deployed_lock()  # says so
        return Seen("nothing is deployed")
    holder = workspace_lock.held_by(workspace.directory)
    work = f"; at work: {holder}" if holder else ""
    rest = f", {len(lock.parked)} are stopped" if lock.parked else ""
    return Seen(f"{len(lock.apps)} services are deployed{rest}{work}")


def serves(workspace: Workspace) -> Seen:
    """What is deployed runs and says that it serves; the proof is `iac health`."""
    lock = workspace.applied_lock()
    if lock is None or not lock.apps:
        return Seen("every service is stopped" if lock and lock.parked else "nothing is deployed")
    if holder := workspace_lock.held_by(workspace.directory):
        return _busy(holder)
    containers = workspace.engine.containers(workspace.project)
    stopped = stopped_containers.of_project(workspace, lock, containers)
    rows = services.services(replace(workspace, emit=lambda _: None), containers)
    bad = {row.app.name: row.health for row in rows if not row.health.serving}
    known = [each.named for each in stopped]
    unknown = [
        f"{name}: {health.message}"
        for name, health in bad.items()
        if health.cause not in (STOPPED, GONE)
    ]
    if not known and not unknown:
        return Seen(f"{len(rows)} of {len(rows)} services say that they serve")
    steps = [each.next_step for each in stopped]
    steps += [f"iac health --project {workspace.project}"] if unknown else []
    raise UnhealthyError(
        f"{len(rows) - len(bad)} of {len(rows)} services serve",
        found="; ".join([*known, *unknown]),
        next_step=", then ".join(dict.fromkeys(steps)),
    )


def _busy(holder: Holder) -> Seen:
    return Seen(f"not looked at, as {holder} is at work", "run iac doctor again then")


def has_disk(workspace: Workspace) -> Seen:
    """There is room for sources and state in the project folder."""
    root = workspace.layout.root
    left = capacity.disk_left(root)
    if left is None:
        return Seen(f"{root} cannot be seen")
    wanted = workspace.settings.fetch_max_bytes // 2**20
    return room(left, wanted, str(root), "see what `du -sh .iac/*` finds")


def has_its_network(workspace: Workspace) -> Seen:
    """No other network and no route has the addresses of the project's."""
    said: list[Event] = []
    quiet = replace(workspace, emit=said.append)
    subnet = network.choose_subnet(quiet, workspace.applied_lock(), None)
    warnings = [event.message for event in said if event.kind == "warning"]
    if warnings:
        return Seen("; ".join(warnings), "set IAC_SUBNET to a free range, then iac deploy")
    return Seen(f"{subnet}, which nothing else on this machine has")


def has_its_ports(workspace: Workspace) -> Seen:
    """Nobody else has the ports of the gateway, of the ingress, and of public hosts."""
    lock, settings = workspace.applied_lock(), workspace.settings
    if not (lock or settings.gateway_port or workspace.project == DEFAULT_PROJECT):
        return Seen("the first deploy takes free ones")
    ports = [network.choose_gateway_port(workspace, lock, None)]
    routes = lock.routes if lock else ()
    if routes:
        ports.append(network.choose_ingress_port(workspace, lock, None))
    if any(not route.is_local for route in routes):
        ports += _public_ports(workspace)
    return Seen(f"{', '.join(map(str, ports))}: nothing else has them")


def has_no_orphans(workspace: Workspace) -> Seen:
    """Nothing of a command that was killed is left."""
    if holder := workspace_lock.held_by(workspace.directory):
        return _busy(holder)
    left = infrastructure.orphans(workspace)
    for pair in candidates.pairs(workspace).values():
        left += [container.name for container in pair.containers]
    if not left:
        return Seen("every container belongs to the last deploy, or to a command that runs")
    text = f"left by a command that was killed: {', '.join(sorted(left))}"
    deploy = f"iac deploy {workspace.list_arguments} --project {workspace.project}"
    return Seen(text, f"{deploy} (removes them)")


def has_its_hooks(workspace: Workspace) -> Seen:
    """The programs that a deploy would run can be run, and nobody else can change them."""
    said: list[Event] = []
    folder = hooks.list_folder(workspace)
    found = hook_files.find(replace(workspace, emit=said.append), folder)
    if said:
        return Seen("; ".join(event.message for event in said), "give it one of these names")
    return Seen(f"{', '.join(found)} in {folder / hook_files.FOLDER}" if found else "none")


def has_told(workspace: Workspace) -> Seen:
    """The receiver of notifications takes them."""
    told = notifications.told(workspace)
    late = [each for each in told.notifications if each.fault]
    if late:
        text = f"{told.receiver} did not take {len(late)} of them ({late[0].fault})"
        return Seen(text, f"iac notifications --send --project {workspace.project}")
    return Seen(f"{told.receiver} was told of all" if told.receiver else "nobody is notified")


def is_kept(workspace: Workspace) -> Seen:
    """A process starts again what dies."""
    lock = workspace.applied_lock()
    if workspace.settings.keeper == "off":
        return Seen("IAC_KEEPER is off: nothing starts again what dies")
    if not workspace.engine_is_local:
        return Seen("an engine on another machine is not kept")
    if lock is None or not lock.apps:
        return Seen("there is nothing to keep")
    if quiet := keeping.quiet(workspace):
        pid, seconds = quiet
        text = f"process {pid} is to keep it, but is stopped or hangs: no look for {seconds:.0f} s"
        return Seen(text, f"iac doctor --fix; if a person started it: kill -CONT {pid}")
    if keeping.is_kept(workspace):
        return Seen("a process starts again what dies or hangs")
    step = f"iac keep --project {workspace.project}, or its unit (docs/machine.md)"
    return Seen("no process starts again what dies or hangs", step)


def start_keeper(workspace: Workspace) -> str:
    """Start what a deploy would have left, and wait until it is there."""
    keeping.ensure(workspace)
    deadline = time.monotonic() + KEEPER_SECONDS
    while not keeping.is_kept(workspace) and time.monotonic() < deadline:
        time.sleep(0.1)
    return "started the process that keeps the project running (iac keep)"


def _public_ports(workspace: Workspace) -> tuple[int, int]:
    settings, own = workspace.settings, workspace.engine.published_ports(workspace.project)
    both = (settings.http_port, settings.https_port)
    for port in both if workspace.engine_is_local else ():
        for address in () if port in own else settings.ingress_addresses:
            if not host_ports.is_free(address, port):
                raise ConfigError(
                    f"port {port} of this machine is in use",
                    found=host_ports.owner(workspace.engine, port),
                    expected="a free one for public hosts",
                    next_step="stop what has it, or set IAC_HTTP_PORT and IAC_HTTPS_PORT",
                )
    return both


_NEEDS_ENGINE = ("engine",)

CHECKS = (
    Check("project", folder_is_its_own, after=_NEEDS_ENGINE),
    Check("record", is_recorded, after=_NEEDS_ENGINE),
    Check("services", serves, after=("engine", "project", "record")),
    Check("project disk", has_disk),
    Check("network", has_its_network, after=_NEEDS_ENGINE),
    Check("ports", has_its_ports, after=_NEEDS_ENGINE),
    Check("leftovers", has_no_orphans, after=("engine", "project", "record")),
    Check("hooks", has_its_hooks),
    Check("notifications", has_told),
    Check("keeper", is_kept, after=("engine", "project"), fix=start_keeper),
)
