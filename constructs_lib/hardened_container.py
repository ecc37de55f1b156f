"""A container with this project's defaults, the strict ones. It must not know what runs in it.

Every attribute that the provider would otherwise fill in by itself is set, so that a second plan
is empty.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from constructs import Construct

from constructs_lib.cdk import (
    Container,
    ContainerCapabilities,
    ContainerHost,
    ContainerLabels,
    ContainerMounts,
    ContainerNetworksAdvanced,
    ContainerPorts,
    ContainerUlimit,
    Network,
    TerraformResourceLifecycle,
)
from constructs_lib.text import literal
from iac_wrapper.model.labels import FIXED
from iac_wrapper.model.limits import MAX_PROCESSES

INIT = False
"""PID 1 is a program of ours that reaps; Docker's init would be one process more."""

CPU_PERIOD = 100_000
"""Microseconds: the kernel's own default, over which `cpus` is a quota."""


@dataclass(frozen=True)
class Mount:
    """A directory of the host, mounted read-only at `target`."""

    source: str
    target: str


@dataclass(frozen=True)
class VolumeMount:
    """A named volume of the engine, mounted at `target`; its container writes to it."""

    source: str
    target: str


@dataclass(frozen=True)
class Attachment:
    """A place on the project's network; other containers find it under `aliases`."""

    network: Network
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Publication:
    """A TCP port of the container, the host's port that leads to it, and the host's address."""

    internal: int
    external: int
    address: str = "127.0.0.1"


@dataclass(frozen=True)
class HardenedContainerProps:
    """What differs between the containers of a project.

    `image` is an image id; `environment` holds sorted ``NAME=value`` lines; `memory_mb` is the
    limit in MiB, swap included; `tmpfs` maps a path to mount options; `capabilities` are the ones
    kept (``CAP_…``); `stop_seconds` is how long a stop may take; `namespace_of` is the id of the
    container whose network namespace this one joins instead of having an `attachment`; `ports` are
    those that the host publishes; `cpus` is the share of processors; `hosts` are
    further (name, address) lines of its hosts file; `sysctls` are kernel settings of its network
    namespace, `dns_opts` options of its resolv.conf. `entrypoint` and `command` take the place of
    the image's. `processes_by_uid`: no other container has its uid. What `ends` is not started
    again after exit code 0. `base` are further lines of the environment: what the container begins
    with and is told anew while it runs, so that another value makes no other container.
    """

    name: str
    image: str
    labels: Mapping[str, str]
    environment: tuple[str, ...]
    memory_mb: int
    user: str
    tmpfs: Mapping[str, str]
    stop_seconds: int
    capabilities: tuple[str, ...] = ()
    mounts: tuple[Mount, ...] = ()
    volumes: tuple[VolumeMount, ...] = ()
    attachment: Attachment | None = None
    namespace_of: str | None = None
    ports: tuple[Publication, ...] = ()
    hostname: str | None = None
    cpus: float | None = None
    hosts: tuple[tuple[str, str], ...] = ()
    sysctls: Mapping[str, str] = field(default_factory=dict)
    dns_opts: tuple[str, ...] = ()
    read_only: bool = True
    processes_by_uid: bool = True
    ends: bool = False
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    base: tuple[str, ...] = ()
    log_opts: Mapping[str, str] = field(
        default_factory=lambda: {"max-size": "10m", "max-file": "3"}
    )


class HardenedContainer(Container):
    """A docker_container: read-only, no privileges to gain, bounded, restarted unless stopped."""

    def __init__(self, scope: Construct, id_: str, props: HardenedContainerProps) -> None:
        super().__init__(
            scope,
            id_,
            name=props.name,
            image=props.image,
            labels=_labels({**props.labels, FIXED: _fixed(props)}),
            env=sorted((*props.environment, *map(literal, props.base))),
            user=props.user,
            hostname=props.hostname,
            host=[ContainerHost(host=name, ip=address) for name, address in props.hosts] or None,
            init=INIT,
            entrypoint=[literal(word) for word in props.entrypoint] or None,
            command=[literal(word) for word in props.command] or None,
            must_run=not props.ends,
            restart="on-failure" if props.ends else "unless-stopped",
            read_only=props.read_only,
            privileged=False,
            security_opts=["no-new-privileges:true"],
            capabilities=ContainerCapabilities(drop=["ALL"], add=list(props.capabilities) or None),
            # Equal, or the provider reports a difference on every plan; so there is no swap.
            memory=props.memory_mb,
            memory_swap=props.memory_mb,
            cpu_period=None if props.cpus is None else CPU_PERIOD,
            cpu_quota=_quota(props.cpus),
            # The bindings have no pids limit: the engine is told one (operations/heal.py).
            ulimit=_limits(props),
            tmpfs=dict(props.tmpfs),
            mounts=_mounts(props) or None,
            network_mode=_network_mode(props),
            networks_advanced=_networks(props.attachment),
            ports=[_port(port) for port in props.ports] or None,
            sysctls=dict(props.sysctls) or None,
            dns_opts=list(props.dns_opts) or None,
            stop_timeout=props.stop_seconds,
            destroy_grace_seconds=props.stop_seconds,
            log_driver="json-file",
            log_opts=dict(props.log_opts),
            lifecycle=_lifecycle(props),
        )


def _limits(props: HardenedContainerProps) -> list[ContainerUlimit] | None:
    if not props.processes_by_uid:
        return None
    return [ContainerUlimit(name="nproc", soft=MAX_PROCESSES, hard=MAX_PROCESSES)]


def _labels(values: Mapping[str, str]) -> list[ContainerLabels]:
    return [ContainerLabels(label=name, value=values[name]) for name in sorted(values)]


def _fixed(props: HardenedContainerProps) -> str:
    """A hash of what only a new container can change, though the official provider says otherwise.

    It plans such a change as one in place and then sends nothing. A label makes a new container
    with either provider. Whatever is added to a container here and is of that kind (cpu_period,
    cpu_quota, healthcheck) belongs in it, under the name that Terraform has for it.
    """
    mounts = [{"type": "bind", "read_only": True, **asdict(mount)} for mount in props.mounts]
    mounts += [{"type": "volume", "read_only": False, **asdict(each)} for each in props.volumes]
    values: dict[str, Any] = {"init": INIT, "mounts": mounts, "tmpfs": dict(props.tmpfs)}
    if props.base:
        values |= {"env": list(props.environment)}
    if props.cpus is not None:
        values |= {"cpu_period": CPU_PERIOD, "cpu_quota": _quota(props.cpus)}
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]


def _quota(cpus: float | None) -> int | None:
    """Microseconds per period; the attribute `cpus` makes the official provider crash."""
    return None if cpus is None else round(cpus * CPU_PERIOD)


def _mounts(props: HardenedContainerProps) -> list[ContainerMounts]:
    # Without volume_options: the official provider demands an engine with API 1.45 for them.
    return [
        ContainerMounts(type=kind, source=each.source, target=each.target, read_only=kind == "bind")
        for kind, found in (("bind", props.mounts), ("volume", props.volumes))
        for each in found
    ]


def _network_mode(props: HardenedContainerProps) -> str:
    return f"container:{props.namespace_of}" if props.namespace_of else "bridge"


def _networks(attachment: Attachment | None) -> list[ContainerNetworksAdvanced] | None:
    if attachment is None:
        return None
    return [
        ContainerNetworksAdvanced(
            name=attachment.network.name, aliases=list(attachment.aliases) or None
        )
    ]


def _port(port: Publication) -> ContainerPorts:
    return ContainerPorts(
        internal=port.internal, external=port.external, ip=port.address, protocol="tcp"
    )


def _lifecycle(props: HardenedContainerProps) -> TerraformResourceLifecycle | None:
    """Follow the network when it is replaced: its name stays, so no attribute would tell. With a
    `base` the environment makes no new container: `_fixed` has the rest of it."""
    if props.attachment is None:
        return None
    network = props.attachment.network
    # As text: for a construct cdktf writes "${…}" here, which Terraform refuses in this place.
    address = f"{network.terraform_resource_type}.{network.friendly_unique_id}"
    return TerraformResourceLifecycle(
        replace_triggered_by=[address], ignore_changes=["env"] if props.base else None
    )
