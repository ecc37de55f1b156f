"""What issues leaves, and how our own authority does it. It must not know where they go."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Protocol

from cryptography import x509
from cryptography.exceptions import InvalidSignature
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

    @property
    def bounded(self) -> bool:
        """Whether its leaves live no longer than they were to."""

    def issue(
        self, name: str, trust_domain: str, *, lifetime: timedelta, serves: bool = True
    ) -> tuple[bytes, PrivateKey]:
        """A new leaf of `name` with its intermediates, PEM, and its key.

        Args:
            name: whose it is.
            trust_domain: host part of its identity.
            lifetime: at most, if the issuer is `bounded`.
            serves: others can call it by its name; else it only calls.

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
    subject, own = common_name(name), key.public_key()
    builder = unsigned(subject, own, ca, lifetime, "digital_signature").add_extension(
        x509.BasicConstraints(ca=False, path_length=None), critical=True
    )
    for extension in (*leaf_extensions(name, trust_domain, serves=serves), _issuer_key(ca, ca_key)):
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(ca_key, hashes.SHA256()), key


def leaf_extensions(
    name: str, trust_domain: str, *, serves: bool
) -> tuple[x509.SubjectAlternativeName, x509.ExtendedKeyUsage]:
    """The names of a leaf, and what it may be used for."""
    identity = x509.UniformResourceIdentifier(spiffe_id(trust_domain, name))
    names = [x509.DNSName(name), identity] if serves else [identity]
    server = [ExtendedKeyUsageOID.SERVER_AUTH] if serves else []
    uses = [*server, ExtendedKeyUsageOID.CLIENT_AUTH]
    return x509.SubjectAlternativeName(names), x509.ExtendedKeyUsage(uses)


def issued_by(lower: x509.Certificate, upper: x509.Certificate) -> bool:
    """Whether `upper` names itself the issuer of `lower`, and its key signed it."""
    try:
        lower.verify_directly_issued_by(upper)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def leads_to(chain: Sequence[x509.Certificate], roots: Sequence[x509.Certificate]) -> bool:
    """Whether each of `chain` is issued by the one after it, and the last by one of `roots`."""
    links = all(issued_by(lower, upper) for lower, upper in pairwise(chain))
    return links and any(issued_by(chain[-1], root) for root in roots)


def _issuer_key(ca: x509.Certificate, ca_key: PrivateKey) -> x509.AuthorityKeyIdentifier:
    try:
        own = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)
