"""The one way in from the host: TLS passed through to services by SNI. It holds no key at all."""

from __future__ import annotations

from dataclasses import dataclass

from constructs import Construct

from constructs_lib.envoy_sidecar import (
    CAPABILITIES,
    MEMORY_MB,
    STOP_SECONDS,
    envoy_environment,
    envoy_tmpfs,
)
from constructs_lib.hardened_container import (
    Attachment,
    HardenedContainer,
    HardenedContainerProps,
    Publication,
)
from constructs_lib.labels import labels
from iac_wrapper.model.mesh import DNS_OPTIONS, PORTS
from iac_wrapper.model.users import GATEWAY, Users


@dataclass(frozen=True)
class GatewayProps:
    """What the gateway needs: see `EnvoySidecarProps`; `port` is the loopback port of the host."""

    project: str
    image: str
    subnet: str
    users: Users
    attachment: Attachment
    port: int


class Gateway(HardenedContainer):
    """A docker_container that publishes one port on 127.0.0.1."""

    def __init__(self, scope: Construct, id_: str, props: GatewayProps) -> None:
        super().__init__(
            scope,
            id_,
            HardenedContainerProps(
                name=f"{props.project}-gateway",
                image=props.image,
                labels=labels(props.project, GATEWAY, "gateway", users=props.users),
                environment=envoy_environment("gateway", props.project, props.subnet, props.users),
                memory_mb=MEMORY_MB,
                user="0:0",
                tmpfs=envoy_tmpfs(props.users),
                stop_seconds=STOP_SECONDS,
                capabilities=CAPABILITIES,
                attachment=props.attachment,
                ports=(Publication(PORTS["gateway"], props.port),),
                dns_opts=DNS_OPTIONS,
            ),
        )
