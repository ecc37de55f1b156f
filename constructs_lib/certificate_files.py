"""Where a service's leaf certificate lies and whom it names. Never reads what is in the files."""

from __future__ import annotations

from constructs import Construct

from constructs_lib.hardened_container import Mount
from iac_wrapper.model.certificate import spiffe_id
from iac_wrapper.model.mesh import TLS_DIRECTORY


class CertificateFiles(Construct):
    """The leaf directory of one service as paths: no key reaches Terraform's JSON or state.

    The directory is mounted, not the files in it: a rotation swaps a link inside.

    Args:
        directory: the leaf directory on the host.
        trust_domain: the SPIFFE trust domain of the project.
        service: the service's name.
    """

    def __init__(
        self, scope: Construct, id_: str, *, directory: str, trust_domain: str, service: str
    ) -> None:
        super().__init__(scope, id_)
        self.identity = spiffe_id(trust_domain, service)
        self.mount = Mount(source=directory, target=TLS_DIRECTORY)
