"""Containers as a Terraform plan or state has them, and the Docker API's form of one.

It must not know why somebody wants a container beside the recorded one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from iac_wrapper.model import labels
from iac_wrapper.model.mesh import STATE_DIRECTORY
from provider import schema
from provider.container_api import to_api


@dataclass(frozen=True)
class PlannedContainer:
    """One docker_container of a plan.

    `actions` are Terraform's (``no-op``, ``create``, ``update``, ``delete``); `values` the
    attributes it will have, without those that are known only after the apply; empty if it goes.
    """

    service: str
    role: str
    actions: Sequence[str]
    values: Mapping[str, Any]

    @property
    def is_new(self) -> bool:
        """Whether a container is created, in place of another one or not."""
        return "create" in self.actions

    @property
    def holds_data(self) -> bool:
        """Whether it writes to a volume or to the host: two at a time could spoil that. What two
        sidecars of a service keep has names of their own."""
        mounts = self.values.get("mounts") or ()
        mounts = [mount for mount in mounts if mount.get("target") != STATE_DIRECTORY]
        return bool(self.values.get("volumes")) or not all(m["read_only"] for m in mounts)


def containers(shown: Mapping[str, Any]) -> list[PlannedContainer]:
    """The docker_container resources of a plan in Terraform's JSON form."""
    return list(_containers(shown.get("resource_changes", ())))


def recorded(bodies: Iterable[Mapping[str, Any]]) -> list[PlannedContainer]:
    """Containers as Terraform's state has them: their attributes are what a plan would repeat."""
    return [_container(body, ("no-op",)) for body in bodies]


def replaces_network(shown: Mapping[str, Any]) -> bool:
    """Whether the project's network is made anew: nothing new can then be tried on the old one."""
    return any(
        resource["type"] == "docker_network"
        and "create" in resource["change"]["actions"]
        and labels.of(resource["change"]["after"]).get(labels.ROLE) == "network"
        for resource in shown.get("resource_changes", ())
    )


def beside(
    planned: PlannedContainer,
    *,
    image: str,
    network_mode: str | None = None,
    sources: Mapping[Path, Path],
    prefix: str = labels.CANDIDATE,
) -> dict[str, Any]:
    """The body of a create call for a container that is like `planned`, but found by nobody.

    Args:
        planned: its values.
        image: what it runs: the plan may not know the id yet.
        network_mode: whose network namespace it joins, if it does.
        sources: host folders to mount, by the ones that the plan mounts.
        prefix: begins its role.
    """
    block = schema.load_schemas().resources["docker_container"].block
    values: dict[str, Any] = dict.fromkeys((*block.attributes, *block.blocks))
    values |= planned.values
    values["image"] = image
    if network_mode:
        values["network_mode"] = network_mode
    values["labels"] = _labels(planned, prefix)
    values["hostname"] = None  # Docker makes an alias of it, and calls would come unproven
    values["mounts"] = [
        {**mount, "source": str(sources.get(Path(mount["source"]), mount["source"]))}
        for mount in values["mounts"] or ()
    ]
    values["networks_advanced"] = [
        {**network, "aliases": None} for network in values["networks_advanced"] or ()
    ]
    return to_api(values)


def _containers(changes: Sequence[Mapping[str, Any]]) -> Iterator[PlannedContainer]:
    for resource in changes:
        if resource["type"] != "docker_container":
            continue
        change = resource["change"]
        planned = _container(change["after"] or change["before"], change["actions"])
        yield planned if change["after"] else replace(planned, values={})


def _container(body: Mapping[str, Any], actions: Sequence[str]) -> PlannedContainer:
    present = labels.of(body)
    return PlannedContainer(
        service=present.get(labels.SERVICE, ""),
        role=present.get(labels.ROLE, ""),
        actions=actions,
        values=body,
    )


def _labels(planned: PlannedContainer, prefix: str) -> list[dict[str, str]]:
    role = prefix + planned.role
    return [
        {**item, "value": role} if item["label"] == labels.ROLE else item
        for item in planned.values["labels"]
    ]
