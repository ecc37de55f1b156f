"""Chooses a project's subnet and gateway port, and keeps what was chosen before."""

from __future__ import annotations

from ipaddress import IPv4Network

from iac_wrapper.adapters import routes
from iac_wrapper.adapters.engine import free_port, port_is_free
from iac_wrapper.errors import ConfigError
from iac_wrapper.files.layout import DEFAULT_PROJECT, network_name
from iac_wrapper.model import subnet
from iac_wrapper.model.lock import LockFile
from iac_wrapper.model.subnet import InUse
from iac_wrapper.operations.workspace import Workspace

DEFAULT_SUBNET = "172.20.0.0/16"
DEFAULT_GATEWAY_PORT = 15443
DEFAULT_INGRESS_PORT = 15080


def choose_subnet(workspace: Workspace, applied: LockFile | None, hint: LockFile | None) -> str:
    """The setting, else what the project runs with, else the default, the lock file's, or any.

    What is only written in a lock file is a hint: it may come from another machine, or from a
    deploy that never got so far.

    Raises:
        ConfigError: another network or a route of this machine takes addresses of a subnet that
            cannot be changed, or no range is free.
    """
    used = in_use(workspace)
    binding = workspace.settings.subnet or (applied.subnet if applied else None)
    if binding is not None:
        _check(workspace, IPv4Network(binding), used)
        return binding
    preferred = [DEFAULT_SUBNET] if workspace.project == DEFAULT_PROJECT else []
    for wanted in (*preferred, *([hint.subnet] if hint else [])):
        if not any(each.overlaps(IPv4Network(wanted)) for each in used):
            return wanted
    chosen = subnet.free(used, workspace.project)
    if chosen is None:
        raise ConfigError(
            "no free subnet is left for the project's network",
            expected="a free /24 between 172.21.0.0 and 172.31.255.255, or in 10.201 to 10.254",
            next_step="set IAC_SUBNET, or remove unused networks (docker network prune)",
        )
    for taken in preferred:
        by = next(each.by for each in used if each.overlaps(IPv4Network(taken)))
        workspace.progress(f"the network gets {chosen}, because {taken} overlaps {by}")
    return str(chosen)


def choose_gateway_port(
    workspace: Workspace, applied: LockFile | None, hint: LockFile | None
) -> int:
    """The port, by the same order as the subnet.

    Raises:
        ConfigError: something that is not this project's gateway listens on one that is fixed.
    """
    binding = workspace.settings.gateway_port or (applied.gateway_port if applied else None)
    wanted = hint.gateway_port if hint else None
    return _port(workspace, "gateway", binding, DEFAULT_GATEWAY_PORT, wanted)


def choose_ingress_port(
    workspace: Workspace, applied: LockFile | None, hint: LockFile | None
) -> int:
    """The loopback port of exposed services, in the same way.

    Raises:
        ConfigError: as for the gateway's.
    """
    binding = workspace.settings.ingress_port or (applied.ingress_port if applied else None)
    wanted = hint.ingress_port if hint else None
    return _port(workspace, "ingress", binding, DEFAULT_INGRESS_PORT, wanted)


def _port(
    workspace: Workspace, who: str, binding: int | None, default: int, hint: int | None
) -> int:
    """`binding`, else for the default project `default`, else `hint` if it is free, else any."""
    if binding is None and workspace.project == DEFAULT_PROJECT:
        binding = default
    own = workspace.engine.published_ports(workspace.project)
    if binding is None:
        return hint if hint and (hint in own or port_is_free(hint)) else free_port()
    if binding in own or port_is_free(binding):
        return binding
    raise ConfigError(
        f"the {who}'s port {binding} on 127.0.0.1 is in use",
        found=f"another program, or another project's {who}, listens there",
        next_step=f"find it with `ss -ltnp 'sport = :{binding}'`, or set IAC_{who.upper()}_PORT",
    )


def in_use(workspace: Workspace) -> list[InUse]:
    """The addresses of other Docker networks, and where this machine's routes lead.

    A remote engine has routes of its own, which nobody sees from here: none are looked at.
    """
    networks = workspace.engine.every_network()
    own = network_name(workspace.project)
    used = [
        InUse(network.subnet, f"the Docker network {network.name} ({network.subnet})")
        for network in networks
        if network.name != own
    ]
    if workspace.engine_is_local:
        bridges = {"docker0", *(network.bridge for network in networks)}
        used += [
            InUse(route.subnet, f"the route {route.subnet} {_way(route)}", route=True)
            for route in routes.read_routes()
            if route.device not in bridges
        ]
    return used


def _way(route: routes.Route) -> str:
    return f"by {route.device}" if route.device else "to nowhere"


def _check(workspace: Workspace, wanted: IPv4Network, used: list[InUse]) -> None:
    """Refuse a subnet that could not work; tell of one that only overlaps.

    A route that is more exact than the network's takes its own addresses alone: that matters when
    these are the first ones, which Docker gives to the gateway and the first services.
    """
    name = network_name(workspace.project)
    for each in (each for each in used if each.overlaps(wanted)):
        if not each.route or (each.takes_from(wanted) and wanted[2] in each.subnet):
            raise ConfigError(
                f"the subnet {wanted} of network {name} is taken",
                found=each.by,
                expected="addresses that nothing else on this machine has",
                next_step=_next_step(workspace, used),
            )
        workspace.warn(
            f"{each.by} overlaps the network {name} ({wanted}); packets to an address in both go to"
            f" the {'route' if each.takes_from(wanted) else 'network'}"
        )


def _next_step(workspace: Workspace, used: list[InUse]) -> str:
    chosen = subnet.free(used, workspace.project)
    example = f", for instance IAC_SUBNET={chosen}" if chosen else ""
    return f"set IAC_SUBNET to a free range{example}; the next deploy moves the network there"
