"""Chooses a project's subnet and gateway port, and keeps what was chosen before."""

from __future__ import annotations

import ipaddress

from iac_wrapper.adapters.engine import free_port, port_is_free
from iac_wrapper.errors import ConfigError
from iac_wrapper.layout import DEFAULT_PROJECT, network_name
from iac_wrapper.lock_file import LockFile
from iac_wrapper.operations.workspace import Workspace

DEFAULT_SUBNET = "172.20.0.0/16"
DEFAULT_GATEWAY_PORT = 15443


def choose_subnet(workspace: Workspace, applied: LockFile | None, hint: LockFile | None) -> str:
    """The setting, else what the project runs with, else the default, the lock file's, or any.

    What is only written in a lock file is a hint: it may come from another machine, or from a
    deploy that never got so far.

    Raises:
        ConfigError: a subnet that cannot be changed overlaps another network of this engine.
    """
    binding = workspace.settings.subnet or (applied.subnet if applied else None)
    if binding is None and workspace.project == DEFAULT_PROJECT:
        binding = DEFAULT_SUBNET
    if binding is None:
        if hint and _overlapping(workspace, hint.subnet) is None:
            return hint.subnet
        return workspace.engine.free_subnet(workspace.project)
    taken = _overlapping(workspace, binding)
    if taken is None:
        return binding
    raise ConfigError(
        f"the subnet {binding} of network {network_name(workspace.project)} is taken",
        found=f"the Docker network {taken}",
        next_step="set IAC_SUBNET to a free range, for instance IAC_SUBNET=172.29.0.0/16",
    )


def choose_gateway_port(
    workspace: Workspace, applied: LockFile | None, hint: LockFile | None
) -> int:
    """The port, by the same order as the subnet.

    Raises:
        ConfigError: something that is not this project's gateway listens on one that is fixed.
    """
    binding = workspace.settings.gateway_port or (applied.gateway_port if applied else None)
    if binding is None and workspace.project == DEFAULT_PROJECT:
        binding = DEFAULT_GATEWAY_PORT
    own = workspace.engine.published_ports(workspace.project)
    if binding is None:
        wanted = hint.gateway_port if hint else None
        return wanted if wanted and (wanted in own or port_is_free(wanted)) else free_port()
    if binding in own or port_is_free(binding):
        return binding
    raise ConfigError(
        f"port {binding} of 127.0.0.1, the gateway's, is in use",
        found="another program, or another project's gateway, listens there",
        next_step=f"find it with `ss -ltnp 'sport = :{binding}'`, or set IAC_GATEWAY_PORT",
    )


def _overlapping(workspace: Workspace, wanted: str) -> str | None:
    """The foreign network that overlaps `wanted`, with its subnet; None if there is none."""
    own = network_name(workspace.project)
    for name, subnet in workspace.engine.subnets():
        if name != own and subnet.overlaps(ipaddress.IPv4Network(wanted)):
            return f"{name} has {subnet}"
    return None
