"""A service's own gRPC server behind TLS, as its sidecar would show it, without containers."""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from iac_wrapper.grpc_pb import controlplane_pb2_grpc as pb_grpc
from runner.lifecycle import Lifecycle
from runner.log_ring import LogRing
from runner.readiness_verdict import ReadinessVerdict
from runner.server import ControlPlaneService

NOW = dt.datetime.now(dt.UTC)
READY = ReadinessVerdict(True, "accepts on port 50051")


class Authority:
    """A certificate authority of one test."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test CA")])
        self.certificate = (
            self._builder(name, name, self.key.public_key(), days=1)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self.key, hashes.SHA256())
        )

    def issue(
        self, folder: Path, name: str, *, uri: str | None = None, expired: bool = False
    ) -> Path:
        """Write tls.crt, tls.key and ca.crt for `name`; returns the folder."""
        key = ec.generate_private_key(ec.SECP256R1())
        sans: list[x509.GeneralName] = [x509.DNSName(name)]
        sans.append(x509.UniformResourceIdentifier(uri or f"spiffe://iacnet/{name}"))
        sans.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        issuer = self.certificate.subject
        leaf = (
            self._builder(subject, issuer, key.public_key(), days=-1 if expired else 1)
            .add_extension(x509.SubjectAlternativeName(sans), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        folder.mkdir(parents=True)
        pem = serialization.Encoding.PEM
        (folder / "tls.crt").write_bytes(leaf.public_bytes(pem))
        (folder / "ca.crt").write_bytes(self.certificate.public_bytes(pem))
        (folder / "tls.key").write_bytes(
            key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )
        return folder

    @staticmethod
    def _builder(
        subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, *, days: int
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - dt.timedelta(days=3))
            .not_valid_after(NOW + dt.timedelta(days=days))
        )


@dataclass
class Service:
    """A server that answers as a service: its port, and what is behind it."""

    port: int
    lifecycle: Lifecycle = field(default_factory=lambda: Lifecycle(10))
    ring: LogRing = field(default_factory=LogRing)
    stop: Callable[[], object] = lambda: None

    def serving(self) -> None:
        """Make it SERVING."""
        self.lifecycle.judged(self.lifecycle.started(), READY, 1.0)


Serve = Callable[..., Service]


@contextmanager
def services(authority: Authority, folder: Path) -> Iterator[Serve]:
    """What starts gRPC servers over TLS; they end with the block."""
    servers: list[grpc.Server] = []

    def serve(
        name: str = "svc",
        *,
        uri: str | None = None,
        expired: bool = False,
        demand: bool = True,
        runner: bool = True,
        again: Service | None = None,
    ) -> Service:
        tls = authority.issue(folder / f"{name}{len(servers)}", name, uri=uri, expired=expired)
        pair = ((tls / "tls.key").read_bytes(), (tls / "tls.crt").read_bytes())
        ca = (tls / "ca.crt").read_bytes()
        server = grpc.server(ThreadPoolExecutor(8))
        credentials = grpc.ssl_server_credentials([pair], ca if demand else None, demand)
        address = f"127.0.0.1:{again.port if again else 0}"
        port = server.add_secure_port(address, credentials)
        service = again or Service(port)
        service.stop = lambda: server.stop(0).wait(2)
        if runner:
            pb_grpc.add_ControlPlaneServicer_to_server(
                ControlPlaneService(service.lifecycle, service.ring, name), server
            )
        server.start()
        servers.append(server)
        return service

    yield serve
    for server in servers:
        server.stop(0).wait(2)
