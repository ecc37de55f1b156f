"""Who may call whom: told to every sidecar after an apply, and asked of them.

A sidecar begins with the policy of its container; what is told it later is kept beside it. One that
is down, or of an earlier version, is a remark: it gets its policy when somebody looks again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

from iac_wrapper.files.layout import Layout, live_name
from iac_wrapper.identity.sidecar_policy import PolicyState, SidecarError, Sidecars
from iac_wrapper.model.certificate import CONTROL_PLANE, INGRESS, OPERATOR
from iac_wrapper.model.lock import LockFile
from iac_wrapper.model.policy import Policy, either, policies
from iac_wrapper.operations import stopped_containers
from iac_wrapper.operations.workspace import Workspace

PATIENCE = 3.0
"""Seconds for a sidecar that was just started to be there; measured: half of one."""

PAUSE = 0.1

LOOK_SECONDS = 2.0
"""How long a sidecar may take for each step of an answer where nobody waits for its start."""

MOST_AT_ONCE = 32

_NO_SERVICES = (CONTROL_PLANE, INGRESS, OPERATOR)
"""Whose calls a sidecar counts besides those of services."""

_Found = TypeVar("_Found")

Sidecar = Literal["current", "another policy", "earlier version", "down"]


@dataclass(frozen=True)
class PolicyRow:
    """Who may call a service, and what its sidecar says: `state` is None where it says nothing.
    `egress` is what it may reach outside of the project, None: everything."""

    service: str
    policy: Policy
    sidecar: Sidecar
    state: PolicyState | None
    egress: tuple[str, ...] | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        calls = self.state.calls if self.state else {}
        past = {name for name, count in calls.items() if count} - {*_NO_SERVICES}
        names = sorted(past | self.policy.callers.keys())
        callers = [
            {
                "name": name,
                "allowed": name in self.policy.callers,
                "removed": name not in self.policy.services,
                "rules": list(self.policy.callers.get(name, ())),
                "calls": calls.get(name, 0) if self.state else None,
            }
            for name in names
        ]
        return {
            "service": self.service,
            "callers": callers,
            "ingress": self.policy.ingress,
            "others": {name: calls[name] for name in _NO_SERVICES if calls.get(name)},
            "refused": self.state.refused if self.state else None,
            "sidecar": self.sidecar,
            "digest": self.policy.digest,
            "egress": None if self.egress is None else list(self.egress),
        }


def sidecars(layout: Layout, lock: LockFile, timeout: float = LOOK_SECONDS) -> Sidecars:
    """A client of the project's sidecars, as the control plane."""
    directory = layout.certificates(lock.project) / CONTROL_PLANE
    return Sidecars(lock.gateway_port, lock.trust_domain, directory, timeout)


def push(
    layout: Layout, lock: LockFile, wanted: Mapping[str, Policy], *, patience: float
) -> dict[str, str]:
    """Tell sidecars, in parallel, who may call them: the policy in `wanted`, by service.

    Args:
        patience: seconds in which one that does not answer is asked again.

    Returns:
        By service, why one has not its policy now.
    """
    client = sidecars(layout, lock)
    deadline = time.monotonic() + patience

    def tell(service: str) -> str:
        policy = wanted[service]
        while True:
            try:
                has = client.put(service, policy.text)
            except SidecarError as error:
                if not error.absent or time.monotonic() > deadline:
                    return str(error)
                time.sleep(PAUSE)
            else:
                return "" if has == policy.digest else "it is of an earlier version"

    failed = dict(zip(wanted, _each(tell, list(wanted)), strict=True))
    return {service: why for service, why in failed.items() if why}


def feed(workspace: Workspace, lock: LockFile) -> None:
    """`push` to every sidecar of `lock` that runs; what fails is said, and fed later."""
    _feed(workspace, lock, policies(lock))


def widen(workspace: Workspace, now: LockFile | None, wanted: LockFile) -> None:
    """Let in what a deploy will start, before it does: its first call may be its first act.

    Args:
        workspace: the project.
        now: what is deployed; its callers may go on calling until they are gone.
        wanted: what will be.
    """
    if now is None:
        return
    before, after = policies(now), policies(wanted)
    wider = {name: either(old, after[name]) for name, old in before.items() if name in after}
    _feed(workspace, now, {name: it for name, it in wider.items() if it != before[name]})


def _feed(workspace: Workspace, lock: LockFile, wanted: Mapping[str, Policy]) -> None:
    if not wanted:
        return
    project = workspace.project
    running = {
        one.service
        for one in workspace.engine.containers(project)
        if one.running and (one.role == "envoy" or one.name == live_name(project, one.service))
    }
    told = {name: policy for name, policy in wanted.items() if name in running}
    for name, why in push(workspace.layout, lock, told, patience=PATIENCE).items():
        workspace.warn(f"{name}: its sidecar was not told who may call it ({why}); iac heal does")


def refresh(workspace: Workspace) -> list[str]:
    """Tell those sidecars who may call them that have another policy than the applied lock.

    Returns:
        What was done, a sentence each.
    """
    lock = workspace.applied_lock()
    wrong = stale(workspace, lock) if lock else []
    if not lock or not wrong:
        return []
    known = policies(lock)
    failed = push(workspace.layout, lock, {name: known[name] for name in wrong}, patience=0)
    return [f"{name}: its sidecar was told who may call it" for name in wrong if name not in failed]


def stale(workspace: Workspace, lock: LockFile) -> list[str]:
    """The services whose sidecars answer, and have another policy than `lock`."""
    return [row.service for row in rows(workspace, lock) if row.sidecar == "another policy"]


def rows(workspace: Workspace, lock: LockFile) -> list[PolicyRow]:
    """The policy of every service of `lock`, and what its sidecar has."""
    client, wanted = sidecars(workspace.layout, lock), policies(lock)
    egress = {app.name: app.options.egress for app in lock.apps}
    found = _each(lambda service: _row(client, service, wanted[service]), list(wanted))
    return [replace(row, egress=egress[row.service]) for row in found]


def policy(workspace: Workspace) -> list[PolicyRow]:
    """The same for what is deployed.

    Raises:
        ConfigError: nothing is.
    """
    lock = workspace.deployed_lock()
    stopped_containers.warn(workspace, lock)
    return rows(workspace, lock)


def _row(client: Sidecars, service: str, policy: Policy) -> PolicyRow:
    try:
        state = client.get(service)
    except SidecarError as error:
        return PolicyRow(service, policy, "down" if error.absent else "earlier version", None)
    if not state.digest:
        return PolicyRow(service, policy, "earlier version", None)
    current = state.digest == policy.digest
    return PolicyRow(service, policy, "current" if current else "another policy", state)


def _each(act: Callable[[str], _Found], services: Collection[str]) -> list[_Found]:
    with ThreadPoolExecutor(max(1, min(MOST_AT_ONCE, len(services)))) as pool:
        return list(pool.map(act, services))
