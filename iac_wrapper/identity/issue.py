"""What issues leaves, and how our own authority does it. It must not know where they go."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from iac_wrapper.identity.unsigned import PrivateKey, common_name, unsigned
from iac_wrapper.model.certificate import spiffe_id

LEAF_LIFETIME = timedelta(days=90)


class Issuer(Protocol):
    """Issues leaves, and says what peers are checked against."""

    @property
    def trusted(self) -> bytes:
        """PEM of every root that peers accept: one, or several while one takes the place of
        another."""

    def issue(
        self, name: str, trust_domain: str, *, lifetime: timedelta
    ) -> tuple[bytes, PrivateKey]:
        """A new leaf of `name` with its intermediates, PEM, and its key.

        Raises:
            CertificateError: it cannot be had.
        """

    def issued(self, chain: Sequence[x509.Certificate]) -> bool:
        """Whether it would issue a leaf with just these intermediates; the leaf comes first."""


def issue(  # noqa: PLR0913 - who signs, whom, and how, by keyword
    ca: x509.Certificate,
    ca_key: PrivateKey,
    name: str,
    trust_domain: str,
    *,
    lifetime: timedelta = LEAF_LIFETIME,
    serves: bool = True,
) -> tuple[x509.Certificate, PrivateKey]:
    """A P-256 leaf of `name`, from now on.

    Args:
        ca: the certificate of who signs, and `ca_key` its key.
        lifetime: at most; the CA's end bounds it.
        serves: others can call it by its name; else it only calls.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    identity = x509.UniformResourceIdentifier(spiffe_id(trust_domain, name))
    names = [x509.DNSName(name), identity] if serves else [identity]
    server = [ExtendedKeyUsageOID.SERVER_AUTH] if serves else []
    uses = [*server, ExtendedKeyUsageOID.CLIENT_AUTH]
    subject, own = common_name(name), key.public_key()
    certificate = (
        unsigned(subject, own, ca, lifetime, "digital_signature")
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        .add_extension(_issuer_key(ca, ca_key), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    return certificate, key


def _issuer_key(ca: x509.Certificate, ca_key: PrivateKey) -> x509.AuthorityKeyIdentifier:
    try:
        own = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)
