"""What the services of a project share in a stack: provider, state, network, gateway, record."""

from __future__ import annotations

import ipaddress
import os.path
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from constructs_lib import cdk, mesh_props, policies
from constructs_lib.cdk import (
    App,
    DockerProvider,
    Image,
    LocalBackend,
    Network,
    NetworkIpamConfig,
    NetworkLabels,
    TerraformOutput,
    TerraformResource,
    TerraformStack,
)
from constructs_lib.envoy_sidecar import EnvoySidecar
from constructs_lib.gateway import Gateway, GatewayProps
from constructs_lib.hardened_container import Attachment
from constructs_lib.ingress import INGRESS_ID, WRITER, Ingress, IngressProps
from constructs_lib.labels import labels
from constructs_lib.local_command import address, local_command
from constructs_lib.mesh_props import MeshProps
from constructs_lib.policies import Granted
from constructs_lib.policy_push import POLICIES_ID, PolicyPush
from constructs_lib.policy_validation import PolicyValidation
from constructs_lib.text import literal
from iac_wrapper.errors import ConfigError
from iac_wrapper.files import lock_file
from iac_wrapper.files.lock_file import LOCK_OUTPUT
from iac_wrapper.model.app import ResolvedApp
from iac_wrapper.model.users import GATEWAY

NETWORK_ID = "iac_network"
SIDECAR_ID = "iac_sidecar"
GATEWAY_ID = "iac_gateway"
PROVIDER_ID = "iac_docker"
"""The mesh's own ids have an underscore, which no service's name (and so no service's id) has."""


class Mesh:
    """Everything of a project but its services; each of these is an `AppWithEnvoy` of its own.

    It is no construct: its parts are children of the stack, and their ids are a contract.

    Args:
        stack: the stack with the project's name.
        props: the facts; without them, those of the folder that the app runs in.

    Raises:
        ConfigError: facts are missing or wrong, or the stack has another name than the project.
    """

    def __init__(self, stack: TerraformStack, props: MeshProps | None = None) -> None:
        self.props = props or _of_this_folder(stack)
        self._stack = stack
        self._members: dict[str, Sequence[TerraformResource]] = {}
        self.images: dict[str, Image] = {}
        """Of the services that are in the stack already, by tag: one image may run in several."""
        _check(stack, self.props.lock.project)
        DockerProvider(stack, PROVIDER_ID)  # DOCKER_HOST and DOCKER_CONTEXT are its own defaults
        cdk.pin_provider(stack)
        LocalBackend(stack, path=self._state_path())
        self.network = self._network()
        self.sidecar_image = Image(
            stack, SIDECAR_ID, name=self.props.host.sidecar_image, keep_locally=True
        )
        self.gateway = self._gateway()
        self.ingress = self._ingress()
        self.policies = PolicyPush(stack, POLICIES_ID, self.props)
        self.policies.after([self.gateway])
        self._record = literal(lock_file.dump(self.props.lock))
        # The lock goes into the state: it says what is deployed, whoever applied it.
        output = TerraformOutput(stack, "iac_lock", value=self._record)
        output.override_logical_id(LOCK_OUTPUT)
        stack.node.add_validation(PolicyValidation(self._violations))

    @property
    def services(self) -> tuple[str, ...]:
        """The names of the lock's services, sorted."""
        return tuple(app.name for app in self.props.lock.apps)

    def join(self, service: str, resources: Sequence[TerraformResource]) -> None:
        """Take a service in. `AppWithEnvoy` does it.

        Raises:
            ConfigError: the service is there already.
        """
        if service in self._members:
            raise ConfigError(
                f"service {service} is in the stack twice",
                where=f"stack {self._stack.node.path}",
                expected="one AppWithEnvoy for each service",
                next_step="take one of them out of main.py",
            )
        self._members[service] = resources
        self.policies.after([each for each in resources if isinstance(each, EnvoySidecar)])
        if self.ingress and self.props.app(service).options.expose:
            self.ingress.routes.after(resources)

    def _state_path(self) -> str:
        """The state file as seen from the directory that Terraform runs in."""
        directory = self.props.outdir / "stacks" / self.props.lock.project
        return os.path.relpath(self.props.layout.state(self.props.lock.project), directory)

    def _network(self) -> Network:
        lock = self.props.lock
        subnet = ipaddress.IPv4Network(lock.subnet)
        values = labels(lock.project, "network", "network")
        return Network(
            self._stack,
            NETWORK_ID,
            name=lock.network,
            driver="bridge",
            ipam_config=[NetworkIpamConfig(subnet=str(subnet), gateway=str(subnet[1]))],
            labels=[NetworkLabels(label=name, value=values[name]) for name in sorted(values)],
        )

    def _gateway(self) -> Gateway:
        lock = self.props.lock
        props = GatewayProps(
            project=lock.project,
            image=self.sidecar_image.image_id,
            subnet=lock.subnet,
            users=self.props.users[GATEWAY],
            attachment=Attachment(self.network),
            port=lock.gateway_port,
        )
        return Gateway(self._stack, GATEWAY_ID, props)

    def _ingress(self) -> Ingress | None:
        serves = self.props.ingress
        if serves is None:
            return None
        image, place = self.sidecar_image.image_id, Attachment(self.network)
        return Ingress(self._stack, INGRESS_ID, IngressProps(self.props, serves, image, place))

    def _violations(self) -> list[str]:
        """What is wrong with the finished stack, a sentence each."""
        terraform = self._stack.to_terraform()
        layout, project = self.props.layout, self.props.lock.project
        mountable = (
            layout.certificates(project),
            layout.project_env_files(project),
            layout.passwd_files(project),
        )
        found = policies.violations(
            terraform,
            project=project,
            mountable=[str(folder) for folder in mountable],
            own=self._addresses(),
            commands=self._commands(),
            ingress=self._ingress_rules(),
            granted={app.name: _granted(app) for app in self.props.lock.apps if app.foreign},
        )
        if missing := set(self.services) - self._members.keys():
            names = ", ".join(sorted(missing))
            found.append(f"services without an AppWithEnvoy: {names}, expected one for each")
        if terraform["terraform"]["backend"] != {"local": {"path": self._state_path()}}:
            found.append("another backend, expected the one of Mesh: iac reads the state from it")
        if terraform["output"][LOCK_OUTPUT]["value"] != self._record:
            found.append(f"another output {LOCK_OUTPUT!r}, expected Mesh's: the record of the lock")
        return found

    def _ingress_rules(self) -> policies.IngressRules | None:
        serves, project = self.props.ingress, self.props.lock.project
        if serves is None:
            return None
        return policies.IngressRules(
            folder=str(self.props.layout.ingress(project)),
            published={(port, address) for _, port, address in serves.published},
        )

    def _commands(self) -> dict[str, Sequence[str]]:
        """What an apply may run, by the address of what runs it."""
        found: dict[str, Sequence[str]] = {address(self.policies): self.policies.command}
        serves = self.props.ingress
        if serves and self.ingress:
            command = (*local_command(self.props, WRITER), serves.digest)
            found[address(self.ingress.routes)] = command
        return found

    def _addresses(self) -> set[str]:
        """Of everything that is the mesh's, as Terraform names it."""
        shared: tuple[TerraformResource, ...] = (
            *(self.network, self.sidecar_image, self.gateway, self.policies),
        )
        if self.ingress:
            shared += (self.ingress, self.ingress.routes)
        members = (each for resources in self._members.values() for each in resources)
        return set(map(address, (*shared, *members)))


def _granted(app: ResolvedApp) -> Granted:
    return Granted(
        root=app.foreign is not None and app.foreign.uid == 0,
        writable=bool(app.options.writable),
        capabilities=frozenset(app.capabilities),
    )


def _of_this_folder(stack: TerraformStack) -> MeshProps:
    props = mesh_props.read_props(Path.cwd())
    return replace(props, outdir=Path(App.of(stack).outdir).absolute())


def _check(stack: TerraformStack, project: str) -> None:
    path = stack.node.path
    if path != project:
        raise ConfigError(
            "the stack does not have the project's name",
            where=f"stack {path}",
            found=f"a lock file of the project {project}",
            expected=f'TerraformStack(app, "{project}")',
            next_step=f"rename the stack in main.py, or the project: IAC_PROJECT={path} in .env",
        )
    if stack.node.try_find_child(PROVIDER_ID):
        raise ConfigError(
            "the stack has a Mesh already",
            where=f"stack {path}",
            expected="one Mesh(stack)",
            next_step="pass the first one to every AppWithEnvoy in main.py",
        )
    if App.of(stack).skip_validation:
        raise ConfigError(
            "the app skips validation, and with it the policies",
            where=f"stack {path}",
            found="App(skip_validation=True)",
            expected="App() without it",
            next_step="take it out of main.py",
        )
