"""Everything of one project as one Terraform stack. Pure: its props are all it knows."""

from __future__ import annotations

import ipaddress
import os.path
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from constructs import Construct

from constructs_lib.app_with_envoy import AppWithEnvoy, AppWithEnvoyProps
from constructs_lib.cdk import (
    DockerProvider,
    Image,
    LocalBackend,
    Network,
    NetworkIpamConfig,
    NetworkLabels,
    TerraformOutput,
    TerraformStack,
)
from constructs_lib.gateway import Gateway, GatewayProps
from constructs_lib.hardened_container import Attachment
from constructs_lib.labels import labels
from constructs_lib.text import literal
from iac_wrapper.errors import ConfigError
from iac_wrapper.files import lock_file
from iac_wrapper.files.host import Host
from iac_wrapper.files.layout import Layout
from iac_wrapper.files.lock_file import LOCK_OUTPUT
from iac_wrapper.model.app import DEFAULT_PROBATION, ResolvedApp
from iac_wrapper.model.lock import LockFile
from iac_wrapper.model.provider import PROVIDER_VERSION
from iac_wrapper.model.users import GATEWAY, Users
from stacks.policy_validation import PolicyValidation

NETWORK_ID = "iac_network"
SIDECAR_ID = "iac_sidecar"
GATEWAY_ID = "iac_gateway"
PROVIDER_ID = "iac_docker"
"""The stack's own ids have an underscore, which no service's name (and so no service's id) has."""


@dataclass(frozen=True)
class ProjectStackProps:
    """What a stack is made of.

    `users` holds the uids of every service and of the gateway; `layout` says where files lie on
    the host; `outdir` is where cdktf writes, because the path of Terraform's state is relative to
    it; `memory_mb` limits each app's container, MiB; `max_headers` and `max_headers_kb` (KiB)
    bound the headers of a request or response; `probation` is how long a program that answers no
    requests must stay alive, seconds.
    """

    lock: LockFile
    host: Host
    users: Mapping[str, Users]
    layout: Layout
    outdir: Path
    memory_mb: int
    max_headers: int = 100
    max_headers_kb: int = 60
    probation: int = DEFAULT_PROBATION
    otlp_endpoint: str = ""

    def __post_init__(self) -> None:
        names = [app.name for app in self.lock.apps]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise self._bad("two apps have one name", ", ".join(twice), "every name once")
        if without := sorted({*names, GATEWAY} - self.users.keys()):
            raise self._bad("services without uids", ", ".join(without), "uids for every service")
        if not 1 <= self.lock.gateway_port <= 65535:
            raise self._bad("bad gateway port", self.lock.gateway_port, "1 to 65535")
        try:
            subnet = ipaddress.IPv4Network(self.lock.subnet)
        except ValueError as error:
            raise self._bad("bad subnet", str(error), "an IPv4 network in CIDR form") from None
        # The network's own address, its gateway, the broadcast address and the stack's gateway.
        needed = len(names) + 4
        if subnet.num_addresses < needed:
            raise self._bad("the subnet is too small", subnet, f"room for {needed} addresses")

    def _bad(self, message: str, found: object, expected: str) -> ConfigError:
        return ConfigError(
            message,
            where=f"lock file of {self.lock.project}",
            found=str(found),
            expected=expected,
            next_step="iac lock --file repos.yaml",
        )


class ProjectStack(TerraformStack):
    """Provider, backend, network, gateway and one AppWithEnvoy per app."""

    def __init__(self, scope: Construct, props: ProjectStackProps) -> None:
        super().__init__(scope, props.lock.project)
        self._props = props
        DockerProvider(self, PROVIDER_ID)  # DOCKER_HOST and DOCKER_CONTEXT are its own defaults
        # The bindings would ask for the version that they are made from.
        self.add_override("terraform.required_providers.docker.version", PROVIDER_VERSION)
        LocalBackend(self, path=self._state_path())
        self.network = self._network()
        self.sidecar_image = Image(
            self, SIDECAR_ID, name=props.host.sidecar_image, keep_locally=True
        )
        self.gateway = self._gateway()
        self.services = tuple(self._service(app) for app in props.lock.apps)
        self._record()
        self.node.add_validation(PolicyValidation(self, props.layout, props.lock.project))

    def _state_path(self) -> str:
        """The state file as seen from the directory that Terraform runs in."""
        directory = self._props.outdir / "stacks" / self._props.lock.project
        return os.path.relpath(self._props.layout.state(self._props.lock.project), directory)

    def _network(self) -> Network:
        lock = self._props.lock
        subnet = ipaddress.IPv4Network(lock.subnet)
        values = labels(lock.project, "network", "network")
        return Network(
            self,
            NETWORK_ID,
            name=lock.network,
            driver="bridge",
            ipam_config=[NetworkIpamConfig(subnet=str(subnet), gateway=str(subnet[1]))],
            labels=[NetworkLabels(label=name, value=values[name]) for name in sorted(values)],
        )

    def _gateway(self) -> Gateway:
        lock = self._props.lock
        props = GatewayProps(
            project=lock.project,
            image=self.sidecar_image.image_id,
            subnet=lock.subnet,
            users=self._props.users[GATEWAY],
            attachment=Attachment(self.network),
            port=lock.gateway_port,
        )
        return Gateway(self, GATEWAY_ID, props)

    def _service(self, app: ResolvedApp) -> AppWithEnvoy:
        props = AppWithEnvoyProps(
            app=app,
            lock=self._props.lock,
            layout=self._props.layout,
            sidecar_image=self.sidecar_image,
            attachment=Attachment(self.network, aliases=(app.name,)),
            users=self._props.users[app.name],
            memory_mb=self._props.memory_mb,
            max_headers=self._props.max_headers,
            max_headers_kb=self._props.max_headers_kb,
            probation=self._props.probation,
            loopback_v6=self._props.host.loopback_v6,
            otlp_endpoint=self._props.otlp_endpoint,
        )
        return AppWithEnvoy(self, app.name, props)

    def _record(self) -> None:
        """The lock goes into the state: it says what is deployed, whoever applied it."""
        value = literal(lock_file.dump(self._props.lock))
        TerraformOutput(self, "iac_lock", value=value).override_logical_id(LOCK_OUTPUT)
