"""The Envoy container of one service: it is on the network and owns the network namespace."""

from __future__ import annotations

from dataclasses import dataclass

from constructs import Construct

from constructs_lib.hardened_container import (
    Attachment,
    HardenedContainer,
    HardenedContainerProps,
    Mount,
    VolumeMount,
)
from constructs_lib.labels import labels
from iac_wrapper.files.layout import container_name
from iac_wrapper.model import egress, envoy_container
from iac_wrapper.model.mesh import DNS_OPTIONS, LOOPBACK_V6, STATE_DIRECTORY
from iac_wrapper.model.options import Run
from iac_wrapper.model.policy import POLICY, Policy
from iac_wrapper.model.users import Users, volume_name

CAPABILITIES, MEMORY_MB = envoy_container.CAPABILITIES, envoy_container.MEMORY_MB

HOSTS = (("host.docker.internal", "host-gateway"),)
"""The engine's host, by the name that Docker Desktop gives it. The program has it as well: who
joins a network namespace shares the hosts file of its owner."""

STOP_SECONDS = envoy_container.STOP_SECONDS

STOP_GRACE = 8
"""Seconds that calls in flight, and then the program, have to end when repos.yaml says nothing: the
default of the init and of the runner."""

STOP_MARGIN = 8
"""Seconds that Docker waits beyond that: the program has 3.5 s to end, then Envoy has 4 s."""


@dataclass(frozen=True)
class ForeignWatch:
    """What a sidecar must know to judge a program that has no runner: what it is for, None if
    nothing tells, and how many seconds it must stay alive if it answers no requests."""

    run: Run | None
    probation: int


@dataclass(frozen=True)
class EnvoySidecarProps:
    """What one sidecar needs.

    `image` is an image id, of which Envoy's configuration is a part; `subnet` the project's
    network in CIDR form; `users` the service's uids, of which one owns the leaf key. `port` is
    where the program is expected, `port_declared` whether repos.yaml says so. `max_headers` and
    `max_headers_kb` (KiB) bound the headers of a request or response; `loopback_v6` gives the
    namespace ``::1``. `tcp` are the ports that it offers over TCP, `tcp_only`: it offers no HTTP.
    `policy` says who may call. `stop_grace` is how long calls in flight may take at a stop,
    seconds, None for the init's own. `watch`: its program has no runner. `egress` is what it may
    reach outside of the project, None: everything.
    """

    project: str
    service: str
    slug: str
    image: str
    trust_domain: str
    port: int
    port_declared: bool
    max_headers: int
    max_headers_kb: int
    subnet: str
    users: Users
    attachment: Attachment
    certificate: Mount
    loopback_v6: bool
    policy: Policy
    tcp: tuple[int, ...] = ()
    tcp_only: bool = False
    stop_grace: int | None = None
    watch: ForeignWatch | None = None
    egress: tuple[str, ...] | None = None


class EnvoySidecar(HardenedContainer):
    """A docker_container under the service's own host name."""

    def __init__(self, scope: Construct, id_: str, props: EnvoySidecarProps) -> None:
        super().__init__(
            scope,
            id_,
            HardenedContainerProps(
                name=container_name(props.project, props.service, "envoy"),
                image=props.image,
                labels=labels(
                    props.project, props.service, "envoy", slug=props.slug, users=props.users
                ),
                environment=_environment(props),
                memory_mb=MEMORY_MB,
                user="0:0",
                tmpfs=envoy_tmpfs(props.users),
                stop_seconds=(props.stop_grace or STOP_GRACE) + STOP_MARGIN,
                capabilities=CAPABILITIES,
                mounts=(props.certificate,),
                volumes=(VolumeMount(volume_name(props.users), STATE_DIRECTORY),),
                base=(f"{POLICY}={props.policy.text}",),
                attachment=props.attachment,
                hostname=props.service,
                hosts=HOSTS,
                sysctls=LOOPBACK_V6 if props.loopback_v6 else {},
                dns_opts=DNS_OPTIONS,
            ),
        )


def _environment(props: EnvoySidecarProps) -> tuple[str, ...]:
    watch = props.watch
    grace = {} if props.stop_grace is None else {"IAC_STOP_GRACE": props.stop_grace}
    runner = {} if watch else {"IAC_RUNNER_UID": props.users.runner}
    outside = {} if props.egress is None else {egress.VARIABLE: _written(props.egress)}
    judged = {"IAC_PROBATION": watch.probation, "IAC_RUN": watch.run or ""} if watch else {}
    return envoy_environment(
        "sidecar",
        props.project,
        props.subnet,
        props.users,
        IAC_APP_UID="any" if watch else props.users.program,
        IAC_MAX_HEADERS=props.max_headers,
        IAC_MAX_HEADERS_KB=props.max_headers_kb,
        IAC_PORT=props.port,
        IAC_PORT_DECLARED=int(props.port_declared),
        IAC_SERVICE=props.service,
        IAC_TRUST_DOMAIN=props.trust_domain,
        **_offer(props),
        **grace,
        **judged,
        **outside,
        **runner,
    )


def _written(destinations: tuple[str, ...]) -> str:
    return ",".join(destinations) or egress.DENY


def _offer(props: EnvoySidecarProps) -> dict[str, str]:
    if not props.tcp:
        return {}
    ports = ",".join(map(str, props.tcp))
    return {"IAC_TCP": ports, **({"IAC_TCP_ONLY": "1"} if props.tcp_only else {})}


def envoy_environment(
    role: str, project: str, subnet: str, users: Users, **more: str | int
) -> tuple[str, ...]:
    """What the init of the Envoy image reads, sorted; every value is checked there as well."""
    values = {
        "IAC_ENVOY_UID": users.envoy,
        "IAC_PROJECT": project,
        "IAC_ROLE": role,
        "IAC_SUBNET": subnet,
        **more,
    }
    return tuple(f"{name}={value}" for name, value in sorted(values.items()))


def envoy_tmpfs(users: Users) -> dict[str, str]:
    """The one writable place, Envoy's own."""
    return envoy_container.tmpfs(users.envoy)
