"""What is wrong with a leaf: for itself, and for whom it is issued. It changes nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID

from iac_wrapper.errors import CertificateError
from iac_wrapper.identity.certificate_authority import load_certificates, load_key
from iac_wrapper.identity.issue import Issuer, issued_by
from iac_wrapper.model.certificate import Leaf, LeafFault, spiffe_id

_USES = {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}

_TOLERANCE = timedelta(minutes=1)
"""By so much a leaf may outlive the lifetime that is set; clocks are set by less."""


def inspect_leaf(directory: Path) -> Leaf:
    """The public facts of the leaf in `directory`.

    Raises:
        CertificateError: there is none, or it cannot be read.
    """
    path = directory / "tls.crt"
    certificate = load_certificates(path)[0]
    names = _names(certificate)
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    written = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    return Leaf(
        directory=directory,
        fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
        serial=f"{certificate.serial_number:x}",
        not_before=begin,
        issued_at=min(max(begin, written), end),
        not_after=end,
        dns_names=tuple(names.get_values_for_type(x509.DNSName)),
        uris=tuple(names.get_values_for_type(x509.UniformResourceIdentifier)),
    )


def pair_fault(
    directory: Path, name: str, trust_domain: str, *, with_key: bool = True
) -> LeafFault | None:
    """Why Envoy or its peers would refuse what lies in `directory`; None: they take it.

    Args:
        directory: has ``tls.crt``, ``tls.key`` and ``ca.crt``.
        name: whose it must be.
        trust_domain: of its identity.
        with_key: read the key; else it is taken for the right one.
    """
    try:
        chain = load_certificates(directory / "tls.crt")
        roots = load_certificates(directory / "ca.crt")
        key = load_key(directory / "tls.key").public_key() if with_key else chain[0].public_key()
        return chain_fault(chain, roots, key, name, trust_domain)
    except CertificateError as error:
        path, found = Path(error.where or directory), error.found or error.message
        if not path.exists():
            return LeafFault("missing", f"there is no {path.name}")
        return LeafFault("damaged", f"{path.name} cannot be used ({found})")


def unread_fault(directory: Path, reader: int) -> LeafFault | None:
    """Why the user `reader` cannot read the key in `directory`, None if that is possible.

    Raises:
        OSError: it is not there.
    """
    owner, mode = _key_status(directory)
    if mode & (0o400 if owner == reader else 0o004):
        return None
    text = f"its key is of uid {owner}, mode {mode:04o}: its Envoy, uid {reader}, cannot read it"
    return LeafFault("owner", text)


def chain_fault(  # noqa: PLR0913 - each is a fact of its own
    chain: Sequence[x509.Certificate],
    roots: Sequence[x509.Certificate],
    key: object,
    name: str,
    trust_domain: str,
    *,
    serves: bool = True,
) -> LeafFault | None:
    """Why peers would refuse the leaf that begins `chain`; None: they take it.

    Args:
        roots: what they trust.
        key: the public key that it must have.
        name: whose it must be.
        trust_domain: of its identity.
        serves: others call it by its name; else it only calls.
    """
    try:
        return next(_faults(chain, roots, key, (name, trust_domain), serves=serves), None)
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        return LeafFault("damaged", f"the certificate cannot be used ({error})")


def leaf_fault(  # noqa: PLR0913 - each is a fact of its own, all by keyword
    issuer: Issuer,
    directory: Path,
    *,
    name: str,
    trust_domain: str,
    owner_uid: int,
    lifetime: timedelta,
) -> LeafFault | None:
    """Why the leaf in `directory` is to be issued anew; None: it will do. As in `ensure_leaf`."""
    try:
        owner, mode = _key_status(directory)
    except OSError as error:
        return LeafFault("missing", f"there is no tls.key ({error.strerror})")
    # Another user's key cannot be read here; it was checked before that user got it.
    fault = pair_fault(directory, name, trust_domain, with_key=os.geteuid() in (0, owner))
    return fault or next(
        _circumstances(issuer, directory, (owner, mode), owner_uid, lifetime), None
    )


def _faults(
    chain: Sequence[x509.Certificate],
    roots: Sequence[x509.Certificate],
    key: object,
    whose: tuple[str, str],
    *,
    serves: bool,
) -> Iterator[LeafFault]:
    leaf, now = chain[0], datetime.now(UTC)
    name, trust_domain = whose
    if leaf.public_key() != key:
        yield LeafFault("mismatch", "its key is not that of its certificate")
    if any(not issued_by(lower, upper) for lower, upper in pairwise(chain)):
        yield LeafFault("chain", "it is no chain: each must have issued the one before")
    if not any(issued_by(chain[-1], root) for root in roots):
        yield LeafFault("chain", "its chain does not lead to an authority that is trusted")
    for each in (leaf, *chain[1:]):
        if each.not_valid_after_utc < now:
            yield LeafFault("expired", f"it ended on {each.not_valid_after_utc:%Y-%m-%d %H:%M} UTC")
        if each.not_valid_before_utc > now:
            begin = f"{each.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
            clock = f"this machine's clock says {now:%Y-%m-%d %H:%M}"
            yield LeafFault("not-yet", f"it is valid from {begin} on; {clock}")
    found, identity = _names(leaf), spiffe_id(trust_domain, name)
    identities = found.get_values_for_type(x509.UniformResourceIdentifier)
    named = not serves or name in found.get_values_for_type(x509.DNSName)
    if not named or identities != [identity]:
        names = f"{name}, {identity}" if serves else identity
        yield LeafFault("names", f"it has not the names {names}")
    if not (_USES if serves else {ExtendedKeyUsageOID.CLIENT_AUTH}).issubset(_uses(leaf)):
        uses = "servers and clients" if serves else "clients"
        yield LeafFault("usage", f"it may not be used for {uses} (extended key usage)")


def _circumstances(
    issuer: Issuer,
    directory: Path,
    status: tuple[int, int],
    owner_uid: int,
    lifetime: timedelta,
) -> Iterator[LeafFault]:
    trusted = load_certificates(directory / "ca.crt")
    wanted = x509.load_pem_x509_certificates(issuer.trusted)
    if trusted != wanted or not issuer.issued(load_certificates(directory / "tls.crt")):
        yield LeafFault("authority", "the authority is another now")
    if status != (owner_uid, 0o600):
        uid, mode = status
        found = f"uid {uid}, mode {mode:04o}"
        yield LeafFault("owner", f"its key is of {found}, not of uid {owner_uid}, mode 0600")
    leaf, now = inspect_leaf(directory), datetime.now(UTC)
    if now > leaf.renew_at:
        yield LeafFault("due", "more than half of its life is over")
    if issuer.bounded and leaf.not_after - now > lifetime + _TOLERANCE:
        yield LeafFault("lifetime", "it would live longer than IAC_LEAF_LIFETIME says")


def _key_status(directory: Path) -> tuple[int, int]:
    status = (directory / "tls.key").stat()
    return status.st_uid, status.st_mode & 0o777


def _names(certificate: x509.Certificate) -> x509.SubjectAlternativeName:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return x509.SubjectAlternativeName([])


def _uses(certificate: x509.Certificate) -> set[x509.ObjectIdentifier]:
    try:
        return set(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        return set()
