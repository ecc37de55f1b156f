"""The way in for people: an Envoy with an identity of its own, and the files that it follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from constructs import Construct

from constructs_lib.cdk import DataResource, LocalExecProvisioner, TerraformResource
from constructs_lib.certificate_files import CertificateFiles
from constructs_lib.envoy_sidecar import (
    CAPABILITIES,
    STOP_SECONDS,
    envoy_environment,
    envoy_tmpfs,
)
from constructs_lib.hardened_container import (
    Attachment,
    HardenedContainer,
    HardenedContainerProps,
    Mount,
    Publication,
)
from constructs_lib.labels import labels
from constructs_lib.local_command import address, local_command
from constructs_lib.mesh_props import MeshProps
from iac_wrapper.files.layout import ingress_name
from iac_wrapper.model import ingress
from iac_wrapper.model.certificate import INGRESS
from iac_wrapper.model.mesh import DNS_OPTIONS, ENTRANCES, INGRESS_DIRECTORY, PUBLIC_DIRECTORY

INGRESS_ID = "iac_ingress"
ROUTES_ID = "iac_ingress_routes"

MEMORY_MB = 512
"""Anybody may connect: twice a sidecar's. Its Envoy refuses requests before that is used up."""

WRITER = "iac_wrapper.operations.ingress_files"


@dataclass(frozen=True)
class IngressProps:
    """What the ingress needs: the facts of its mesh, what it serves, its image's id, its place."""

    mesh: MeshProps
    serves: ingress.Ingress
    image: str
    attachment: Attachment


class IngressRoutes(DataResource):
    """Writes listeners and routes when they change, in every kind of apply.

    A container with the files would be a new one for each change, and a state with them would tell
    nothing: the state has their hash, and for people the URLs. Certificates are not in it.
    """

    def __init__(self, scope: Construct, id_: str, props: IngressProps) -> None:
        serves = props.serves
        super().__init__(
            scope,
            id_,
            input={
                **labels(serves.project, INGRESS, "routes"),
                "digest": serves.digest,
                "urls": serves.urls,
            },
            triggers_replace={"digest": serves.digest},
            provisioners=[
                LocalExecProvisioner(
                    type="local-exec",
                    interpreter=local_command(props.mesh, WRITER),
                    command=serves.digest,
                )
            ],
        )

    def after(self, resources: Sequence[TerraformResource]) -> None:
        """Write the files when these are there: nobody is sent to a service that is not."""
        self.depends_on = [*(self.depends_on or ()), *map(address, resources)]


class Ingress(HardenedContainer):
    """A docker_container that publishes the ports at which people reach services."""

    def __init__(self, scope: Construct, id_: str, props: IngressProps) -> None:
        facts, serves = props.mesh, props.serves
        lock, layout, users = facts.lock, facts.layout, facts.users[INGRESS]
        self.routes = IngressRoutes(scope, ROUTES_ID, props)
        certificate = CertificateFiles(
            scope,
            f"{id_}_certificate",
            directory=str(layout.certificates(lock.project) / INGRESS),
            trust_domain=lock.trust_domain,
            service=INGRESS,
        )
        files = Mount(str(layout.ingress(lock.project)), INGRESS_DIRECTORY)
        public = Mount(str(layout.public_certificates(lock.project)), PUBLIC_DIRECTORY)
        entrances = sorted({ENTRANCES[name] for name, _, _ in serves.published})
        super().__init__(
            scope,
            id_,
            HardenedContainerProps(
                name=ingress_name(lock.project),
                image=props.image,
                labels=labels(lock.project, INGRESS, "ingress", users=users),
                environment=envoy_environment(
                    "ingress",
                    lock.project,
                    lock.subnet,
                    users,
                    IAC_INGRESS_PORTS=",".join(map(str, entrances)),
                    IAC_TRUST_DOMAIN=lock.trust_domain,
                ),
                memory_mb=MEMORY_MB,
                user="0:0",
                tmpfs=envoy_tmpfs(users),
                stop_seconds=STOP_SECONDS,
                capabilities=CAPABILITIES,
                mounts=(certificate.mount, files, *((public,) if serves.has_tls else ())),
                attachment=props.attachment,
                ports=tuple(
                    Publication(ENTRANCES[name], port, address)
                    for name, port, address in sorted(serves.published)
                ),
                dns_opts=DNS_OPTIONS,
            ),
        )
        self.identity = certificate.identity
        self.depends_on = [address(self.routes)]
