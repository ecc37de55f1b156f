"""Certificate and key as people bring them, checked before anything of theirs is used."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from iac_wrapper.errors import CertificateError
from iac_wrapper.identity.certificate_authority import key_pem
from iac_wrapper.identity.certificate_chain import check_chain, pem
from iac_wrapper.identity.unsigned import PrivateKey
from iac_wrapper.model.public_host import CertificateFiles

_CURVES = ("secp256r1", "secp384r1")
"""Elliptic curves that browsers and Envoy take. Envoy 1.40 serves with P-521 and Ed25519 too, but
Chrome offers neither in its signature algorithms."""

_RSA_BITS = 2048
"""The shortest RSA key that browsers and Envoy take (CA/Browser Forum, 6.1.5)."""


@dataclass(frozen=True)
class Pair:
    """A certificate with its intermediates and its key, both PEM, in the form we install.

    `source` is the URL of the ACME server that gave it, empty for files.
    """

    chain: bytes
    key: bytes = field(repr=False)
    source: str = ""


def read_pair(files: CertificateFiles, host: str) -> Pair:
    """The pair in `files`, if all of it is right for `host`; nothing is changed.

    Raises:
        CertificateError: what is wrong, in which file, and what to do.
    """
    certificates = _certificates(files.certificate)
    key = _key(files.key)
    check_chain(certificates, host, str(files.certificate))
    if certificates[0].public_key() != key.public_key():
        raise CertificateError(
            "certificate and key do not belong together",
            where=f"{files.certificate} and {files.key}",
            found="a key that is not the one in the certificate",
            next_step="name the key that the certificate was requested with",
        )
    return Pair(pem(certificates), key_pem(key))


def _certificates(path: Path) -> list[x509.Certificate]:
    data = _read(path)
    if b"-----BEGIN CERTIFICATE-----" not in data:
        raise _not_pem(path, data, "certificate", b"PRIVATE KEY")
    try:
        return x509.load_pem_x509_certificates(data)
    except ValueError as error:
        raise CertificateError(
            "not a PEM certificate",
            where=str(path),
            found=str(error),
            next_step="copy the file again from where it was issued",
        ) from None


def _key(path: Path) -> PrivateKey:
    data = _read(path)
    _check_mode(path)
    if b"PRIVATE KEY-----" not in data:
        raise _not_pem(path, data, "private key", b"BEGIN CERTIFICATE")
    try:
        key = serialization.load_pem_private_key(data, None)
    except TypeError:  # what cryptography raises where a password is missing
        raise CertificateError(
            "the private key is encrypted",
            where=str(path),
            expected="a key without a password: nobody is there to type it when it is needed",
            next_step=f"umask 077; openssl pkey -in {path} -out {path.stem}.plain.pem,"
            " and name that file",
        ) from None
    except ValueError as error:
        raise CertificateError(
            "not a usable private key",
            where=str(path),
            found=str(error).partition(" (")[0],
            expected="a PEM key, EC or RSA",
            next_step="copy the file again from where it was made",
        ) from None
    return _usable(key, path)


def _usable(key: object, path: Path) -> PrivateKey:
    if isinstance(key, rsa.RSAPrivateKey):
        if key.key_size >= _RSA_BITS:
            return key
        found = f"RSA with {key.key_size} bits"
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        if key.curve.name in _CURVES:
            return key
        found = f"the curve {key.curve.name}"
    else:
        found = type(key).__name__.removesuffix("PrivateKey")
    raise CertificateError(
        "browsers do not take this kind of key",
        where=str(path),
        found=found,
        expected=f"EC ({', '.join(_CURVES)}), or RSA with at least {_RSA_BITS} bits",
        next_step="have a certificate issued for such a key",
    )


def _check_mode(path: Path) -> None:
    """As ssh does with a key of one's own: others can read it, so it is not taken."""
    status = path.stat()
    if status.st_uid == os.geteuid() and status.st_mode & 0o077:
        raise CertificateError(
            "other users can read the private key",
            where=str(path),
            found=f"mode {status.st_mode & 0o7777:04o}",
            expected="mode 0600",
            next_step=f"chmod 600 {path}",
        )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CertificateError(
            "cannot read a file of a public host",
            where=str(path),
            found=error.strerror,
            expected="a PEM file that this user can read",
            next_step="correct the path in the repos file, or the file's owner",
        ) from None


def _not_pem(path: Path, data: bytes, kind: str, other: bytes) -> CertificateError:
    if other in data:
        found, step = "a PEM file without one", "name the two files the other way round"
    elif data.startswith(b"\x30"):  # an ASN.1 sequence
        found = "DER or PKCS#12, which are binary"
        tool = "x509" if kind == "certificate" else "pkey"
        step = (
            f"openssl {tool} -inform der -in {path} -out {path.stem}.pem; of a .pfx or .p12 file:"
            f" openssl pkcs12 -in {path} -nodes -out {path.stem}.pem"
        )
    else:
        found, step = "something else" if data else "an empty file", "name the right file"
    return CertificateError(
        f"not a PEM {kind}",
        where=str(path),
        found=found,
        expected=f"-----BEGIN {'CERTIFICATE' if kind == 'certificate' else 'PRIVATE KEY'}-----",
        next_step=step,
    )
