"""A CA on disk: made once, or brought by the user; it signs leaves and is never replaced here.

Bring your own: put ``ca.pem`` and ``ca.key`` (PEM, EC or RSA, not encrypted) in secrets/ before
the first deploy. A self-signed ``ca.pem`` is also what services trust. When ``ca.pem`` is an
intermediate, ``ca-chain.pem`` must hold the certificates above it in order, root last: leaves are
then served with the intermediates, and services trust the root.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from iac_wrapper.errors import CertificateError
from iac_wrapper.files import file_lock
from iac_wrapper.files.atomic import write_bytes
from iac_wrapper.files.private_files import private_directory, private_file, unreadable
from iac_wrapper.identity.issue import issue, issued_by
from iac_wrapper.identity.unsigned import PrivateKey, common_name, unsigned

CA_LIFETIME = timedelta(days=3652)

NAME = common_name("KarstKit CA")
"""The subject of every CA that is made here."""

_START_OVER = "restore the matching file from a backup, or remove both and deploy all again"


@dataclass(frozen=True)
class CertificateAuthority:
    """A signing certificate with its key, and the certificates above it (root last): the issuer of
    leaves (`issue.Issuer`) whose key is on this machine."""

    certificate: x509.Certificate
    key: PrivateKey = field(repr=False)
    above: tuple[x509.Certificate, ...] = ()
    bounded = True

    @property
    def trusted(self) -> bytes:
        """PEM of the root: what peers check against."""
        return _pem((self.above or (self.certificate,))[-1])

    @property
    def intermediates(self) -> bytes:
        """PEM of what a server sends after its leaf; empty for a self-signed CA."""
        return b"".join(map(_pem, self._sent))

    @property
    def _sent(self) -> tuple[x509.Certificate, ...]:
        return (self.certificate, *self.above)[:-1]

    def issue(
        self, name: str, trust_domain: str, *, lifetime: timedelta, serves: bool = True
    ) -> tuple[bytes, PrivateKey]:
        """A new leaf of `name` with its intermediates, PEM, and its key."""
        leaf, key = issue(
            self.certificate, self.key, name, trust_domain, lifetime=lifetime, serves=serves
        )
        return _pem(leaf) + self.intermediates, key

    def issued(self, chain: Sequence[x509.Certificate]) -> bool:
        """Whether the leaf that begins `chain` is signed by this key, with these intermediates."""
        return issued_by(chain[0], self.certificate) and tuple(chain[1:]) == self._sent


def ensure_ca(secrets_dir: Path) -> CertificateAuthority:
    """The CA in `secrets_dir`; made there (P-256, 10 years) when there is none.

    Whoever made the folder and the key, and however: they are closed to other users (0700, 0600).

    Raises:
        CertificateError: files are missing, unreadable, expired or do not belong together, or
            cannot be closed.
    """
    private_directory(secrets_dir)
    with locked(secrets_dir):
        certificate, key = secrets_dir / "ca.pem", secrets_dir / "ca.key"
        if not certificate.exists() and not key.exists():
            _create(certificate, key)
        if key.exists():
            private_file(key)
        return load_authority(secrets_dir)


def load_authority(folder: Path) -> CertificateAuthority:
    """The CA that lies in `folder`.

    Raises:
        CertificateError: as `ensure_ca`.
    """
    for name in ("ca.pem", "ca.key"):
        if not (folder / name).exists():
            raise CertificateError(
                "half of the CA is missing",
                where=str(folder / name),
                next_step=f"{_START_OVER}; if a command issues, set IAC_CERT_COMMAND",
            )
    return _load(folder / "ca.pem", folder / "ca.key", folder / "ca-chain.pem")


@contextmanager
def locked(directory: Path, *, make: bool = True) -> Iterator[None]:
    """Hold `directory` against other processes; released on exit.

    Args:
        make: whether it is made (0700) if it is missing.

    Raises:
        CertificateError: it cannot be made or opened.
    """
    try:
        if make:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise unreadable(directory, error) from None
    with file_lock.hold(descriptor):
        yield


def load_certificates(path: Path) -> list[x509.Certificate]:
    """All certificates of a PEM file, in order.

    Raises:
        CertificateError: no such file, or not PEM certificates.
    """
    try:
        data = path.read_bytes()
        return x509.load_pem_x509_certificates(data)
    except OSError as error:
        raise unreadable(path, error) from None
    except ValueError:
        found = f"{len(data)} bytes that hold none, or a damaged one"
        raise CertificateError(
            "not a PEM certificate", where=str(path), found=found, next_step=_START_OVER
        ) from None


def load_key(path: Path) -> PrivateKey:
    """An unencrypted EC or RSA key.

    Raises:
        CertificateError: no such file, or another kind of key.
    """
    try:
        data = path.read_bytes()
        key = serialization.load_pem_private_key(data, None)
    except OSError as error:
        raise unreadable(path, error) from None
    except (TypeError, ValueError) as error:
        encrypted = isinstance(error, TypeError)
        found = "an encrypted one" if encrypted else f"{len(data)} bytes that hold none"
        raise CertificateError(
            "not a usable private key",
            where=str(path),
            found=found,
            expected="an unencrypted PEM key (EC or RSA)",
            next_step=_START_OVER,
        ) from None
    if isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        return key
    raise CertificateError(
        "cannot sign with this kind of key",
        where=str(path),
        expected="an EC or RSA key",
        next_step=_START_OVER,
    )


def key_pem(key: PrivateKey) -> bytes:
    """The key as unencrypted PKCS8 PEM."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _create(certificate: Path, key: Path) -> None:
    secret = ec.generate_private_key(ec.SECP256R1())
    signed = (
        unsigned(NAME, secret.public_key(), None, CA_LIFETIME, "key_cert_sign", "crl_sign")
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(secret, hashes.SHA256())
    )
    write_bytes(key, key_pem(secret), mode=0o600)
    write_bytes(certificate, _pem(signed), mode=0o600)


def _load(certificate: Path, key: Path, chain: Path) -> CertificateAuthority:
    first, *rest = load_certificates(certificate)
    secret = load_key(key)
    if first.public_key() != secret.public_key():
        raise CertificateError(
            "the CA's certificate and key do not belong together",
            where=f"{certificate} and {key}",
            next_step=_START_OVER,
        )
    above = tuple(rest or (load_certificates(chain) if chain.exists() else ()))
    if is_root(first):
        above = ()
    check_chain((first, *above), certificate, chain)
    return CertificateAuthority(first, secret, above)


def check_chain(certificates: tuple[x509.Certificate, ...], path: Path, chain: Path) -> None:
    """See that `certificates` are valid authorities, each the issuer of the one before, root last.

    Args:
        path: where the first comes from, for errors.
        chain: where the others come from.

    Raises:
        CertificateError: they are not.
    """
    now = datetime.now(UTC)
    for each in certificates:
        if now < each.not_valid_before_utc:
            raise CertificateError(
                "the CA is not valid yet",
                where=str(path),
                found=f"valid from {each.not_valid_before_utc:%Y-%m-%d %H:%M} UTC on; this"
                f" machine's clock says {now:%Y-%m-%d %H:%M}",
                next_step="set the clock if it is wrong; else wait, or put a valid CA there",
            )
        if now >= each.not_valid_after_utc:
            raise CertificateError(
                "the CA is not valid now",
                where=str(path),
                found=f"valid until {each.not_valid_after_utc:%Y-%m-%d} ({_subject(each)})",
                next_step="put a valid CA there, or remove ca.pem and ca.key; then deploy all",
            )
        if not _may_sign(each):
            raise CertificateError(
                "not a CA certificate",
                where=str(path),
                found=_subject(each),
                expected="basic constraints CA:TRUE and the key usage keyCertSign",
                next_step="put a CA there, or remove ca.pem and ca.key; then deploy all",
            )
    for lower, upper in pairwise(certificates):
        if not issued_by(lower, upper):
            raise CertificateError(
                "the CA's chain is broken",
                where=str(chain),
                found=f"{_subject(upper)} did not issue {_subject(lower)}",
                expected="the issuer of ca.pem first, the root last",
                next_step=f"put the certificates in {chain} in this order",
            )
    if not is_root(certificates[-1]):
        raise CertificateError(
            "the CA's chain ends before the root",
            where=str(path),
            found=f"{_subject(certificates[-1])} is not self-signed",
            next_step=f"put its issuers, root last, in {chain}",
        )


def is_root(certificate: x509.Certificate) -> bool:
    """Whether it is signed by its own key."""
    return issued_by(certificate, certificate)


def _may_sign(certificate: x509.Certificate) -> bool:
    extensions = certificate.extensions
    try:
        if not extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return False
    except x509.ExtensionNotFound:
        return False
    try:
        return extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound:
        return True  # RFC 5280: no key usage, no restriction


def _subject(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string()


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
