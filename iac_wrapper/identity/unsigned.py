"""What every certificate here is made of; who signs it adds the rest."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

CLOCK_SKEW = timedelta(minutes=5)
"""How far another machine's (or a virtual machine's) clock may be behind."""

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

Usage = Literal["digital_signature", "key_cert_sign", "crl_sign"]

_USAGES = (
    *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
    *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
)


def common_name(text: str) -> x509.Name:
    """A subject with nothing but a CN."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def unsigned(
    subject: x509.Name,
    key: ec.EllipticCurvePublicKey,
    issuer: x509.Certificate | None,
    lifetime: timedelta,
    *usages: Usage,
) -> x509.CertificateBuilder:
    """A certificate from now on, a serial number of its own, and what `key` may do.

    Args:
        subject: whose it is.
        key: of the subject.
        issuer: whose life bounds that of the certificate; None: it is signed by `key` itself.
        lifetime: at most.
        usages: what the key is for; no other use is allowed.
    """
    now = datetime.now(UTC)
    begin, end = now - CLOCK_SKEW, now + lifetime
    if issuer:
        begin = max(begin, issuer.not_valid_before_utc)
        end = min(end, issuer.not_valid_after_utc)
    allowed = x509.KeyUsage(**{usage: usage in usages for usage in _USAGES})
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(allowed, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )
