"""Issues a leaf: a new key and its certificate, in memory. It must not know where they go."""

from __future__ import annotations

from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from iac_wrapper.identity.certificate_authority import CertificateAuthority, PrivateKey
from iac_wrapper.identity.unsigned import common_name, unsigned
from iac_wrapper.model.certificate import spiffe_id

LEAF_LIFETIME = timedelta(days=90)


def issue(
    ca: CertificateAuthority,
    name: str,
    trust_domain: str,
    *,
    lifetime: timedelta = LEAF_LIFETIME,
    serves: bool = True,
) -> tuple[x509.Certificate, PrivateKey]:
    """A P-256 leaf of `name`, from now on.

    Args:
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
        unsigned(subject, own, ca.certificate, lifetime, "digital_signature")
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        .add_extension(_issuer_key(ca), critical=False)
        .sign(ca.key, hashes.SHA256())
    )
    return certificate, key


def _issuer_key(ca: CertificateAuthority) -> x509.AuthorityKeyIdentifier:
    try:
        own = ca.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(ca.key.public_key())
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)
