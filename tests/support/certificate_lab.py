"""Authorities and certificates of every kind that people might bring."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes

from iac_wrapper.identity.certificate_files import Pair
from iac_wrapper.model.public_host import CertificateFiles

PEM = serialization.Encoding.PEM


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def key_bytes(
    key: CertificateIssuerPrivateKeyTypes,
    password: bytes | None = None,
    encoding: serialization.Encoding = PEM,
) -> bytes:
    protected = serialization.BestAvailableEncryption(password) if password else None
    return key.private_bytes(
        encoding,
        serialization.PrivateFormat.PKCS8,
        protected or serialization.NoEncryption(),
    )


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(each.public_bytes(PEM) for each in certificates)


@dataclass
class Issuer:
    """An authority; its own certificate is signed by `above`, else by itself."""

    name: str
    above: Issuer | None = None
    key: ec.EllipticCurvePrivateKey = field(default_factory=new_key)

    def __post_init__(self) -> None:
        self.certificate = (self.above or self).sign(self.name, self.key, authority=True)

    @property
    def pem(self) -> bytes:
        """Its own certificate."""
        return pem(self.certificate)

    def sign(
        self,
        name: str,
        key: CertificateIssuerPrivateKeyTypes,
        *names: str,
        days: tuple[float, float] = (-1, 80),
        authority: bool = False,
        use: x509.ObjectIdentifier | None = None,
    ) -> x509.Certificate:
        """A certificate for the DNS `names`, valid from and until so many days from now."""
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(_name(self.name))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + timedelta(days=days[0]))
            .not_valid_after(now + timedelta(days=days[1]))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if names:
            sans = x509.SubjectAlternativeName([x509.DNSName(each) for each in names])
            builder = builder.add_extension(sans, critical=False)
        if use:
            builder = builder.add_extension(x509.ExtendedKeyUsage([use]), critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def pair(self, *names: str, days: tuple[float, float] = (-1, 80)) -> Pair:
        """A leaf with the certificates above it, and its key."""
        key = new_key()
        return Pair(
            pem(self.sign(names[0], key, *names, days=days), self.certificate), key_bytes(key)
        )


def write(folder: Path, certificate: bytes, key: bytes, *, mode: int = 0o600) -> CertificateFiles:
    """Two files as a person has them."""
    folder.mkdir(exist_ok=True)
    files = CertificateFiles(folder / "fullchain.pem", folder / "privkey.pem")
    files.certificate.write_bytes(certificate)
    files.key.write_bytes(key)
    files.key.chmod(mode)
    return files


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def to_files(issuer: Issuer, folder: Path) -> None:
    """What another process needs to sign as `issuer`."""
    folder.mkdir()
    (folder / "key.pem").write_bytes(key_bytes(issuer.key))
    above = issuer.above or issuer
    (folder / "chain.pem").write_bytes(issuer.pem + above.pem)
    (folder / "above.pem").write_bytes(key_bytes(above.key))


def from_files(folder: Path) -> Issuer:
    """The issuer that `to_files` wrote."""
    own, above = x509.load_pem_x509_certificates((folder / "chain.pem").read_bytes())

    def issuer(certificate: x509.Certificate, key: str, over: Issuer | None) -> Issuer:
        secret = serialization.load_pem_private_key((folder / key).read_bytes(), None)
        assert isinstance(secret, ec.EllipticCurvePrivateKey)
        found = Issuer(_common_name(certificate), over, secret)
        found.certificate = certificate
        return found

    return issuer(own, "key.pem", issuer(above, "above.pem", None))


def answer(issuer: Issuer, request: x509.CertificateSigningRequest, how: str) -> x509.Certificate:
    """A certificate for a request: ``well``, or wrong in one way."""
    now, key = datetime.now(UTC), request.public_key()
    end = now - timedelta(hours=1) if how == "expired" else now + timedelta(days=80)
    builder = (
        x509.CertificateBuilder()
        .subject_name(request.subject)
        .issuer_name(issuer.certificate.subject)
        .public_key(new_key().public_key() if how == "wrong-key" else key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(end)
    )
    for each in request.extensions:
        if how == "wrong-names" and isinstance(each.value, x509.SubjectAlternativeName):
            names = x509.SubjectAlternativeName([x509.DNSName("other")])
            builder = builder.add_extension(names, critical=False)
        elif how != "no-server" or not isinstance(each.value, x509.ExtendedKeyUsage):
            builder = builder.add_extension(each.value, each.critical)
    return builder.sign(issuer.key, hashes.SHA256())


def _common_name(certificate: x509.Certificate) -> str:
    (name,) = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(name.value)
