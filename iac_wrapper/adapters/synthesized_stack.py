"""The synthesized stack, ``cdk.tf.json``, read back: which service a Terraform address is of."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path

from iac_wrapper.model import labels
from iac_wrapper.model.plan import TerraformPlan


def changed_services(stack: Path, plan: TerraformPlan) -> frozenset[str]:
    """Services of the stack in the folder `stack` one of whose containers `plan` creates, replaces
    or updates; all of them, if it does that to the gateway or the network, which all depend on.
    """
    owned = owners(stack)
    touched = {owned[c.address] for c in plan.changes if c.address in owned}
    services = {name for name, role in owned.values() if role in ("app", "envoy")}
    if any(role in ("gateway", "network") for _, role in touched):
        return frozenset(services)
    return frozenset(name for name, _ in touched) & services


def containers_of(stack: Path, services: Collection[str]) -> list[str]:
    """The addresses of the containers of `services` in the stack in the folder `stack`."""
    if not services:
        return []
    return [
        address
        for address, (service, role) in owners(stack).items()
        if service in services and role in ("app", "envoy")
    ]


def touches_only(stack: Path, plan: TerraformPlan, services: Collection[str]) -> bool:
    """Whether everything that `plan` changes belongs to `services`, the images that they run in
    included. That policies are sent touches nobody."""
    resources = json.loads((stack / "cdk.tf.json").read_text(encoding="utf-8"))["resource"]
    own = {
        f"{kind}.{name}"
        for kind in ("docker_container", "docker_image")
        for name, body in resources.get(kind, {}).items()
        if {**labels.of(body), **labels.of_build(body)}.get(labels.SERVICE) in services
    }
    own |= {
        f"{labels.DATA}.{name}"
        for name, body in resources.get(labels.DATA, {}).items()
        if labels.of_data(body).get(labels.ROLE) == labels.POLICIES
    }
    return all(change.address in own for change in plan.changes)


def owners(stack: Path) -> dict[str, tuple[str, str]]:
    """Address -> (service, role) of every container and network of the project."""
    resources = json.loads((stack / "cdk.tf.json").read_text(encoding="utf-8"))["resource"]
    return {
        f"{kind}.{name}": (found[labels.SERVICE], found[labels.ROLE])
        for kind in ("docker_container", "docker_network")
        for name, body in resources.get(kind, {}).items()
        if labels.SERVICE in (found := labels.of(body))
    }
