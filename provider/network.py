"""docker_network: translation to and from the Engine API."""

from __future__ import annotations

import time
from typing import Any

from . import labels
from .engine import EngineRefusedError, name_in_path
from .planning import Rules
from .problems import ProviderError, keeping
from .resource import ProviderContext, Resource
from .values import Values


def _same_ipam(prior: Any, desired: Any) -> bool:
    """Docker may add the gateway it chose to a subnet that was configured without one."""
    left, right = ({item["subnet"]: item for item in items or []} for items in (prior, desired))
    if left.keys() != right.keys() or len(left) != len(prior or []):
        return False
    return all(
        (value or None) == (left[subnet][name] or None) or (name == "gateway" and not value)
        for subnet, wanted in right.items()
        for name, value in wanted.items()
    )


SETTLE_SECONDS = 5.0
"""How long a network may have endpoints of containers that are gone: the engine frees them late
when it removes many at once."""


class NetworkResource(Resource):
    """The docker_network resource."""

    rules = Rules(same={"ipam_config": _same_ipam})

    def create(self, context: ProviderContext, planned: Values) -> Values:
        """Create the network and read it back."""
        try:
            made = context.engine.post("/networks/create", to_api(planned))
        except EngineRefusedError as fault:
            raise _create_error(fault, planned) from None
        with keeping({**planned, "id": made["Id"]}):
            return to_state(planned, context.engine.get(f"/networks/{made['Id']}"))

    def read(self, context: ProviderContext, state: Values) -> Values | None:
        """The network with the state's id."""
        found = context.engine.find(f"/networks/{state['id']}")
        return to_state(state, found) if found else None

    def delete(self, context: ProviderContext, state: Values) -> None:
        """Remove the network."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            try:
                context.engine.delete(f"/networks/{state['id']}")
            except EngineRefusedError as fault:
                if fault.status == 404:
                    return
                if "active endpoints" not in fault.message:
                    raise
                if _containers(context, state) or time.monotonic() > deadline:
                    raise _in_use(context, state) from None
                time.sleep(0.2)
            else:
                return

    def adopt(self, context: ProviderContext, identifier: str) -> Values:
        """A network by name or id."""
        found = context.engine.find(f"/networks/{name_in_path(identifier)}")
        if not found:
            raise ProviderError(
                f"There is no network {identifier!r}.", "`docker network ls` lists them."
            )
        state = to_state({}, found)
        state["ipam_config"] = _ipam_state(found)
        state["ipam_options"] = (found.get("IPAM") or {}).get("Options") or {}
        return state


def to_api(planned: Values) -> dict[str, Any]:
    """The body of a create call.

    CheckDuplicate is always set: without it Docker makes two networks of one name, and everything
    that names the network then fails.
    """
    body: dict[str, Any] = {
        "Name": planned["name"],
        "CheckDuplicate": True,
        "Labels": labels.to_api(planned["labels"]),
        "IPAM": {
            "Driver": planned["ipam_driver"] or "default",
            "Config": [_ipam_api(item) for item in planned["ipam_config"] or []],
            "Options": planned["ipam_options"] or {},
        },
    }
    for name, key in (
        ("driver", "Driver"),
        ("options", "Options"),
        ("internal", "Internal"),
        ("attachable", "Attachable"),
        ("ingress", "Ingress"),
        ("ipv6", "EnableIPv6"),
    ):
        if isinstance(planned[name], str | bool | dict):
            body[key] = planned[name]
    return body


def to_state(state: Values, found: dict[str, Any]) -> Values:
    """`state` with what Docker says now."""
    seen = {
        "id": found["Id"],
        "name": found["Name"],
        "driver": found["Driver"],
        "scope": found["Scope"],
        "internal": found["Internal"],
        "attachable": found["Attachable"],
        "ingress": found["Ingress"],
        "ipv6": found["EnableIPv6"],
        "options": found["Options"] or {},
        "labels": labels.to_state(found["Labels"]),
        "ipam_driver": (found.get("IPAM") or {}).get("Driver") or "default",
    }
    return {**state, **seen}


def _ipam_api(item: Values) -> dict[str, Any]:
    pairs = (
        ("Subnet", "subnet"),
        ("IPRange", "ip_range"),
        ("Gateway", "gateway"),
        ("AuxiliaryAddresses", "aux_address"),
    )
    return {key: item[name] for key, name in pairs if item[name]}


def _ipam_state(found: dict[str, Any]) -> list[Values]:
    return [
        {
            "subnet": item.get("Subnet", ""),
            "ip_range": item.get("IPRange", ""),
            "gateway": item.get("Gateway", ""),
            "aux_address": item.get("AuxiliaryAddresses") or {},
        }
        for item in (found.get("IPAM") or {}).get("Config") or []
    ]


def _containers(context: ProviderContext, state: Values) -> list[str]:
    found = context.engine.find(f"/networks/{state['id']}") or {}
    return sorted(item["Name"] for item in (found.get("Containers") or {}).values())


def _create_error(fault: EngineRefusedError, planned: Values) -> ProviderError:
    name = planned["name"]
    if fault.status == 409 and "already exists" in fault.message:
        return ProviderError(
            f"A network named {name!r} exists already.",
            f"Remove it (docker network rm {name}), import it, or choose another name.",
            path=("name",),
        )
    if "overlap" in fault.message:
        subnets = ", ".join(item["subnet"] for item in planned["ipam_config"] or [])
        return ProviderError(
            f"The subnet {subnets} of network {name!r} overlaps with another network.",
            "Choose a free subnet, or remove the network that holds it "
            "(docker network inspect $(docker network ls -q)).",
            path=("ipam_config",),
        )
    return ProviderError(f"Docker cannot create network {name!r}: {fault.message}.", path=("name",))


def _in_use(context: ProviderContext, state: Values) -> ProviderError:
    names = _containers(context, state)
    return ProviderError(
        f"Network {state['name']!r} still has containers: {', '.join(names) or 'unknown'}.",
        "Remove or disconnect them (docker network disconnect), then run the command again.",
        path=("name",),
    )
