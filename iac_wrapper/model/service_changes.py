"""From two locks and Terraform's plan to what happens to each service, and why. Pure.

The locks say what people changed; the plan says what becomes of the containers, and everything
that no lock tells: limits, this tool's own images, what was changed by hand.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from iac_wrapper.model import egress
from iac_wrapper.model.app import ResolvedApp
from iac_wrapper.model.app_changes import app_changes
from iac_wrapper.model.certificate import CONTROL_PLANE, INGRESS
from iac_wrapper.model.forms import written_size
from iac_wrapper.model.policy import POLICY
from iac_wrapper.model.resource_change import ResourceChange
from iac_wrapper.model.service_change import Reason, ServiceAction, ServiceChange

_MEMORY = ("memory", "memory_swap")
_CPUS = ("cpus", "cpu_period", "cpu_quota")
_LIMITS = {*_MEMORY, *_CPUS, "ulimit", "cpu_set", "cpu_shares"}

_NAMES = {
    "ipam_config": "subnet",
    "ports": "port",
    "memory_swap": "memory",
    "cpu_period": "cpus",
    "cpu_quota": "cpus",
    "ulimit": "limits of processes and files",
    "stop_timeout": "stop_grace",
    "destroy_grace_seconds": "stop_grace",
    "networks_advanced": "network",
    "restart": "restart policy",
}
"""Attributes of Terraform's that people know by another name."""

_SETTINGS = ("IAC_MAX_HEADERS", "IAC_MAX_HEADERS_KB")
"""Variables of a sidecar that are settings of the deploy."""

_FOLLOWS = ("IAC_EXPOSED", POLICY, egress.VARIABLE)
"""Variables of a sidecar that follow from the services of the lock, their `expose:`, `allow:` and
`egress:`; the first one is of an earlier version."""

_PORT = ("IAC_PORT", "IAC_PORT_DECLARED")
"""Variables of a sidecar that follow from `port:`."""


@dataclass(frozen=True)
class Observations:
    """What neither locks nor plan tell.

    `values`: service -> variables whose secret value differs from the one the container has. `due`:
    owners of certificates that a deploy issues anew, and why. `public_due`: public hosts for which
    it installs a certificate or asks for one. `stopped`: (service, role) of containers that a
    deploy starts. `bounded`: the same of those whose limit of processes somebody changed.
    `commits`: service -> how many lie between old and new. `volumes`: service -> what becomes of
    its data, sentences. `lost`: service -> the names of its volumes that somebody removed.
    `dropped`: stopped services that go for good, of which the stack has nothing.
    """

    values: Mapping[str, Collection[str]] = field(default_factory=dict)
    due: Mapping[str, str] = field(default_factory=dict)
    public_due: Sequence[str] = ()
    stopped: Collection[tuple[str, str]] = ()
    bounded: Collection[tuple[str, str]] = ()
    commits: Mapping[str, int] = field(default_factory=dict)
    volumes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    lost: Mapping[str, Sequence[str]] = field(default_factory=dict)
    dropped: Collection[str] = ()


def service_changes(
    old: Sequence[ResolvedApp],
    new: Sequence[ResolvedApp],
    resources: Sequence[ResourceChange],
    seen: Observations,
) -> tuple[ServiceChange, ...]:
    """What a deploy of `new` over `old` does, sorted by name; what it leaves alone is not in it."""
    before, after = {app.name: app for app in old}, {app.name: app for app in new}
    changed = {service for service, _ in (*seen.stopped, *seen.bounded)}
    names = {*before, *after, *changed, *seen.dropped, *(r.service for r in resources)}
    if before:  # on a first deploy everything is new, this too
        names |= {CONTROL_PLANE, INGRESS} & {*seen.due, *([INGRESS] if seen.public_due else [])}
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
    seen: Observations,
) -> ServiceChange | None:
    actions = {resource.action for resource in resources}
    data = tuple(Reason("volumes", text) for text in seen.volumes.get(name, ()))
    if new and not old and actions <= {"create"}:
        return ServiceChange(name, "add", (Reason("source", _origin(new)), *data))
    if not new and (actions == {"delete"} or name in seen.dropped):
        return ServiceChange(name, "remove", data)
    reasons = (*dict.fromkeys(_reasons(name, old, new, resources, seen)), *data)
    action = _action(resources, reasons, stopped=any(s == name for s, _ in seen.stopped))
    if action == "replace" and actions == {"create"} and not reasons:
        return ServiceChange(name, "add")  # the gateway and the network of a first deploy
    return ServiceChange(name, action, reasons) if reasons or resources else None


def _origin(app: ResolvedApp) -> str:
    if app.foreign and app.foreign.pinned:
        return f"{app.slug}, pinned to {app.foreign.pinned}"
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
    if actions or "drift" in what:
        return "update"
    return "renew" if what == {"certificate"} else "record"


def _reasons(
    name: str,
    old: ResolvedApp | None,
    new: ResolvedApp | None,
    resources: Sequence[ResourceChange],
    seen: Observations,
) -> Iterator[Reason]:
    wanted: tuple[Reason, ...] = ()
    if old and new:
        wanted = app_changes(
            old, new, values=seen.values.get(name, ()), commits=seen.commits.get(name)
        )
    yield from wanted
    goes_on = not {"create", "delete"} & {resource.action for resource in resources}
    stays = (old and new) or name == CONTROL_PLANE or (name == INGRESS and goes_on)
    if stays and (why := seen.due.get(name)):
        yield Reason("certificate", f"certificate renewed: {why}")
    if name == INGRESS and goes_on:
        yield from (Reason("certificate", f"new certificate for {h}") for h in seen.public_due)
    for service, role in sorted(seen.stopped):
        if service == name:
            yield Reason("drift", f"{_whose(role)} is stopped")
    for service, role in sorted(seen.bounded):
        if service == name:
            text = f"limit of processes{_of_whose(role)} was changed by hand"
            yield Reason("drift", text)
    for volume in seen.lost.get(name, ()):
        yield Reason("drift", f"volume {volume} was removed by hand and comes back empty")
    yield from _routed(resources)
    resources = [resource for resource in resources if resource.role != "routes"]
    for resource in resources:
        yield from _drifted(resource)
    for resource in resources:
        yield from _limited(resource, old, new)
    for resource in resources:
        yield from _unexplained(resource, {reason.what for reason in wanted})


def _routed(resources: Sequence[ResourceChange]) -> Iterator[Reason]:
    """Which addresses come and go. Those of an ingress that comes or goes say nothing new."""
    for resource in resources:
        if resource.role == "routes" and resource.action == "update":
            before, after = (set(map(_address, urls)) for urls in resource.attributes["urls"])
            signs = [f"-{each}" for each in sorted(before - after)]
            signs += [f"+{each}" for each in sorted(after - before)]
            yield Reason("routes", f"routes: {', '.join(signs) or 'written anew'}")


def _address(url: str) -> str:
    """Host and path of a URL."""
    found = urlsplit(url)
    return f"{found.hostname}{found.path.rstrip('/')}"


def _whose(role: str) -> str:
    return {"envoy": "its sidecar", "app": "its app container"}.get(role, "it")


def _of_whose(role: str) -> str:
    """`_whose`, behind what is its own; nothing for what stands for itself."""
    return f" of {_whose(role)}" if role in ("envoy", "app") else ""


def _drifted(resource: ResourceChange) -> Iterator[Reason]:
    if resource.gone:
        yield Reason("drift", f"{_whose(resource.role)} was removed by hand")
    edited = resource.edited & resource.attributes.keys() - {"must_run"}
    if edited:
        names = _named(edited)
        were = "were" if len(names) > 1 else "was"
        text = f"{' and '.join(names)}{_of_whose(resource.role)} {were} changed by hand"
        yield Reason("drift", text)


def _named(attributes: Collection[str]) -> list[str]:
    """For people, each once."""
    return sorted({_NAMES.get(name, name) for name in attributes})


def _limited(
    resource: ResourceChange, old: ResolvedApp | None, new: ResolvedApp | None
) -> Iterator[Reason]:
    """Limits that no entry of repos.yaml says: a setting's, or this tool's own."""
    own = (resource.attributes.keys() & _LIMITS) - resource.edited
    is_app = resource.role == "app"
    if is_app and old and new:
        own -= {*_MEMORY} if old.options.memory_mb != new.options.memory_mb else set()
        own -= {*_CPUS} if old.options.cpus != new.options.cpus else set()
    if "memory" in own:
        was, will = (written_size(size or 0) for size in resource.attributes["memory"])
        setting = " (IAC_MEMORY_MB or main.py)" if new and new.options.memory_mb is None else ""
        text = f"memory: {was} → {will}{setting}"
        own_text = f"memory{_of_whose(resource.role)} {was} → {will}, which KarstKit sets"
        yield Reason("limits", text if is_app else own_text)
    if rest := own - {*_MEMORY}:
        names = " and ".join(_named(rest))
        who = "KarstKit or main.py" if is_app else "KarstKit"
        text = f"{names}{_of_whose(resource.role)} changed, which {who} sets"
        yield Reason("limits", text)


def _unexplained(resource: ResourceChange, explained: Collection[str]) -> Iterator[Reason]:
    """What no person changed: this tool's share of a container.

    Args:
        explained: what a person did change, and what follows from it in a container.
    """
    own = resource.attributes.keys() - resource.edited - _LIMITS - {"must_run", "network_mode"}
    if explained and resource.role != "envoy":
        return
    # They name the slug, and have a hash of the environment.
    own -= {"labels"} if "source" in explained or "env" in own else set()
    if "image" in own and resource.image:
        how = "was removed by hand" if resource.image.gone else "was given to another image by hand"
        yield Reason("drift", f"the name {resource.image.name} of its image {how}")
    elif "image" in own:
        own_images = ("envoy", "gateway", "ingress")
        which = "sidecar image" if resource.role in own_images else "image"
        yield Reason("tool", f"KarstKit's {which} changed")
    if "env" in own:
        follows = (*(_PORT if "port" in explained else ()), *_FOLLOWS)
        yield from _variables(resource, *resource.attributes["env"], follows)
    if rest := own - {"image", "env"}:
        text = f"{', '.join(_named(rest))}{_of_whose(resource.role)} changed"
        yield Reason("other", text)


def _variables(
    resource: ResourceChange, was: Any, will: Any, follows: Collection[str]
) -> Iterator[Reason]:
    before, after = (dict(_pair(line) for line in lines or ()) for lines in (was, will))
    names = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    if resource.role == "app":
        yield Reason(
            "env", f"env: changed {', '.join(sorted(names))}, which KarstKit or main.py sets"
        )
        return
    for name in sorted(names.intersection(_SETTINGS)):
        yield Reason("settings", f"{name}: {before.get(name)} → {after.get(name)}")
    if names.difference(_SETTINGS, follows):
        yield Reason("tool", "KarstKit's sidecar configuration changed")


def _pair(line: str) -> tuple[str, str]:
    name, _, value = line.partition("=")
    return name, value
