"""From two locks and Terraform's plan to what happens to each service, and why. Pure.

The locks say what people changed; the plan says what becomes of the containers, and everything
that no lock tells: limits, this tool's own images, what was changed by hand.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from iac_wrapper.model.app import ResolvedApp
from iac_wrapper.model.app_changes import app_changes
from iac_wrapper.model.certificate import CONTROL_PLANE
from iac_wrapper.model.resource_change import ResourceChange
from iac_wrapper.model.service_change import Reason, ServiceAction, ServiceChange

_SIZES = {"memory": "memory", "cpus": "processors", "cpu_shares": "processor shares"}
_NAMES = {"ipam_config": "subnet", "ports": "port"}
_LIMITS = {*_SIZES, "memory_swap", "ulimit", "cpu_set", "cpu_period", "cpu_quota"}


@dataclass(frozen=True)
class Observed:
    """What neither locks nor plan tell.

    `values`: service -> variables whose secret value differs from the one the container has.
    `due`: owners of certificates that a deploy issues anew. `stopped`: (service, role) of
    containers that a deploy starts. `commits`: service -> how many lie between old and new.
    """

    values: Mapping[str, Collection[str]] = field(default_factory=dict)
    due: Collection[str] = ()
    stopped: Collection[tuple[str, str]] = ()
    commits: Mapping[str, int] = field(default_factory=dict)


def service_changes(
    old: Sequence[ResolvedApp],
    new: Sequence[ResolvedApp],
    resources: Sequence[ResourceChange],
    seen: Observed,
) -> tuple[ServiceChange, ...]:
    """What a deploy of `new` over `old` does, sorted by name; what it leaves alone is not in it."""
    before, after = {app.name: app for app in old}, {app.name: app for app in new}
    stopped = {service for service, _ in seen.stopped}
    names = {*before, *after, *stopped, *(r.service for r in resources)}
    if before:  # on a first deploy everything is new, this too
        names |= {CONTROL_PLANE} & set(seen.due)
    found = (
        _one(name, before.get(name), after.get(name), _of(name, resources), seen)
        for name in sorted(names)
    )
    return tuple(change for change in found if change)


def _of(name: str, resources: Sequence[ResourceChange]) -> list[ResourceChange]:
    return [resource for resource in resources if resource.service == name]


def _one(
    name: str,
    old: ResolvedApp | None,
    new: ResolvedApp | None,
    resources: Sequence[ResourceChange],
    seen: Observed,
) -> ServiceChange | None:
    actions = {resource.action for resource in resources}
    if new and not old and actions <= {"create"}:
        return ServiceChange(name, "add", (Reason("source", _origin(new)),))
    if not new and actions == {"delete"}:
        return ServiceChange(name, "remove")
    reasons = tuple(dict.fromkeys(_reasons(name, old, new, resources, seen)))
    action = _action(resources, reasons, stopped=any(s == name for s, _ in seen.stopped))
    if action == "replace" and actions == {"create"} and not reasons:
        return ServiceChange(name, "add")  # the gateway and the network of a first deploy
    return ServiceChange(name, action, reasons) if reasons or resources else None


def _origin(app: ResolvedApp) -> str:
    return f"{app.slug} at {app.commit[:12]}" if app.commit else app.slug


def _action(
    resources: Sequence[ResourceChange], reasons: Sequence[Reason], *, stopped: bool
) -> ServiceAction:
    actions = {resource.action for resource in resources}
    what = {reason.what for reason in reasons}
    if actions & {"create", "replace", "delete"}:
        return "replace"
    if stopped or "env" in what:  # a variable that replaces nothing is a file: it takes a restart
        return "restart"
    if actions:
        return "update"
    return "renew" if what == {"certificate"} else "record"


def _reasons(
    name: str,
    old: ResolvedApp | None,
    new: ResolvedApp | None,
    resources: Sequence[ResourceChange],
    seen: Observed,
) -> Iterator[Reason]:
    wanted: tuple[Reason, ...] = ()
    if old and new:
        wanted = app_changes(
            old, new, values=seen.values.get(name, ()), commits=seen.commits.get(name)
        )
    yield from wanted
    if (old and new) or name == CONTROL_PLANE:
        yield from (Reason("certificate", "certificate renewed") for due in seen.due if due == name)
    for service, role in sorted(seen.stopped):
        if service == name:
            yield Reason("drift", f"{_whose(role)} is stopped")
    for resource in resources:
        yield from _drifted(resource)
    settled = {"memory"} if any("memory" in reason.text for reason in wanted) else set()
    for resource in resources:
        yield from _limited(resource, settled)
    explained = {reason.what for reason in wanted}
    for resource in resources:
        if not explained or (resource.role == "envoy" and not explained & {"port", "settings"}):
            yield from _unexplained(resource)


def _whose(role: str) -> str:
    return {"envoy": "its sidecar", "app": "its app container"}.get(role, "it")


def _drifted(resource: ResourceChange) -> Iterator[Reason]:
    if resource.gone:
        yield Reason("drift", f"{_whose(resource.role)} was removed by hand")
    edited = resource.edited & resource.attributes.keys() - {"must_run", "memory_swap"}
    if edited:
        names = ", ".join(_SIZES.get(name, name) for name in sorted(edited))
        yield Reason("drift", f"{names} of {_whose(resource.role)} was changed by hand")


def _limited(resource: ResourceChange, settled: Collection[str]) -> Iterator[Reason]:
    own = resource.attributes.keys() - resource.edited - set(settled)
    for name in sorted(own & _SIZES.keys()):
        was, will = resource.attributes[name]
        unit = " MiB" if name == "memory" else ""
        yield Reason("limits", f"{_SIZES[name]} {was} → {will}{unit}")
    if own & (_LIMITS - _SIZES.keys() - {"memory_swap"}):
        yield Reason("limits", "limits changed")


def _unexplained(resource: ResourceChange) -> Iterator[Reason]:
    """What no person changed: this tool's share of a container."""
    own = resource.attributes.keys() - resource.edited - _LIMITS - {"must_run", "network_mode"}
    if "image" in own:
        which = "sidecar image" if resource.role in ("envoy", "gateway") else "image"
        yield Reason("tool", f"KarstKit's {which} changed")
    if "env" in own:
        yield _variables(resource, *resource.attributes["env"])
    if rest := own - {"image", "env"}:
        names = ", ".join(_NAMES.get(name, name) for name in sorted(rest))
        owner = f" of {_whose(resource.role)}" if resource.role in ("app", "envoy") else ""
        yield Reason("other", f"{names}{owner} changed")


def _variables(resource: ResourceChange, was: Any, will: Any) -> Reason:
    if resource.role != "app":
        return Reason("tool", "KarstKit's sidecar configuration changed")
    changed = {line.partition("=")[0] for line in {*(was or ())} ^ {*(will or ())}}
    return Reason("env", f"env: changed {', '.join(sorted(changed))}, which KarstKit sets")
