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


def choose_subnet(workspace: Workspace, previous: LockFile | None) -> str:
    """The setting, else what the project has, else the default or a free one.

    Raises:
        ConfigError: another network of this engine overlaps it.
    """
    wanted = workspace.settings.subnet or (previous.subnet if previous else None)
    if wanted is None and workspace.project == DEFAULT_PROJECT:
        wanted = DEFAULT_SUBNET
    if wanted is None:
        return workspace.engine.free_subnet()
    own = network_name(workspace.project)
    for name, subnet in workspace.engine.subnets():
        if name != own and subnet.overlaps(ipaddress.IPv4Network(wanted)):
            raise ConfigError(
                f"the subnet {wanted} of network {own} is taken",
                found=f"the Docker network {name} has {subnet}",
                next_step="set IAC_SUBNET to a free range, for instance IAC_SUBNET=172.29.0.0/16",
            )
    return wanted


def choose_gateway_port(workspace: Workspace, previous: LockFile | None) -> int:
    """The setting, else what the project has, else the default or a free one.

    Raises:
        ConfigError: something that is not this project's gateway listens there.
    """
    port = workspace.settings.gateway_port or (previous.gateway_port if previous else None)
    if port is None and workspace.project == DEFAULT_PROJECT:
        port = DEFAULT_GATEWAY_PORT
    if port is None:
        return free_port()
    if port not in workspace.engine.published_ports(workspace.project) and not port_is_free(port):
        raise ConfigError(
            f"port {port} of 127.0.0.1, the gateway's, is in use",
            found="another program, or another project's gateway, listens there",
            next_step=f"find it with `ss -ltnp 'sport = :{port}'`, or set IAC_GATEWAY_PORT",
        )
    return port
