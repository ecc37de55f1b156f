"""Whether certificates are what a browser accepts for a host: names, order, dates, issuers."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from itertools import pairwise
from pathlib import Path

from certifi import where
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from iac_wrapper.errors import CertificateError
from iac_wrapper.identity.issue import issued_by

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.S)

_ORDER = "the host's certificate first, then the issuer of each, in one file"


def check_chain(
    certificates: Sequence[x509.Certificate], host: str, where: str, *, complete: bool = True
) -> None:
    """Raise unless the certificates, in this order, prove `host` now.

    Args:
        certificates: as a server sends them.
        host: a DNS name; with ``*`` as its first label, a wildcard.
        where: what an error is about.
        complete: the last one's issuer must be there or be a root that browsers trust. An ACME
            server may be a private one, and sends what is needed.

    Raises:
        CertificateError: the first thing that is wrong.
    """
    leaf = certificates[0]
    _check_leaf(certificates, where)
    _check_host(leaf, host, where)
    for each in certificates:
        _check_dates(each, where)
    for lower, upper in pairwise(certificates):
        if not issued_by(lower, upper):
            raise _broken(certificates, lower, where)
    if complete and not _anchored(certificates[-1]):
        raise _missing(certificates[-1], where)


def covers(pattern: str, host: str) -> bool:
    """Whether a DNS name of a certificate is for `host`.

    RFC 9525, 6.3: ``*`` stands for exactly one label, as the whole first one. A host that is itself
    a wildcard is covered by the same wildcard only.
    """
    pattern, host = pattern.lower(), host.lower()
    if pattern == host:
        return True
    first, _, rest = pattern.partition(".")
    label, _, parent = host.partition(".")
    return first == "*" and "*" not in rest and rest == parent != "" and label not in ("", "*")


def dns_names(certificate: x509.Certificate) -> tuple[str, ...]:
    """The DNS names it is for; a common name is none (RFC 9525, 2)."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ()
    return tuple(found.value.get_values_for_type(x509.DNSName))


def title(name: x509.Name) -> str:
    """Organization and common name, which is how people know an authority."""
    parts = [
        str(found[0].value)
        for kind in (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME)
        if (found := name.get_attributes_for_oid(kind))
    ]
    return " ".join(parts) or name.rfc4514_string()


def pem(certificates: Sequence[x509.Certificate]) -> bytes:
    """As PEM; a root at the end is left out, as clients have theirs."""
    sent = certificates
    if len(sent) > 1 and issued_by(sent[-1], sent[-1]):
        sent = sent[:-1]
    return b"".join(each.public_bytes(serialization.Encoding.PEM) for each in sent)


def _check_leaf(certificates: Sequence[x509.Certificate], where: str) -> None:
    leaf, *others = certificates
    if _is_authority(leaf) and not issued_by(leaf, leaf):
        raise CertificateError(
            "the first certificate is an authority's",
            where=where,
            found=_listed(certificates),
            expected=_ORDER,
            next_step=(
                "put them in this order"
                if any(not _is_authority(each) for each in others)
                else "name the file with the host's own certificate; certbot's is fullchain.pem"
            ),
        )
    if not _serves(leaf):
        raise CertificateError(
            "the certificate is not for servers",
            where=where,
            found="an extended key usage without serverAuth",
            next_step="have one issued for TLS servers",
        )


def _check_host(leaf: x509.Certificate, host: str, where: str) -> None:
    names = dns_names(leaf)
    if any(covers(name, host) for name in names):
        return
    raise CertificateError(
        f"the certificate is not for {host}",
        where=where,
        found=", ".join(names) if names else "no DNS name; a common name alone counts for nothing",
        expected=f"{host} among its DNS names, or *.{host.partition('.')[2]}",
        next_step="name the certificate of this host, or have one issued for it",
    )


def _check_dates(certificate: x509.Certificate, where: str) -> None:
    now, name = datetime.now(UTC), title(certificate.subject) or "it"
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now >= end:
        raise CertificateError(
            "the certificate has expired",
            where=where,
            found=f"{name} was valid until {end:%Y-%m-%d %H:%M} UTC",
            next_step="put the renewed one there",
        )
    if now < begin:
        raise CertificateError(
            "the certificate is not valid yet",
            where=where,
            found=f"{name} is valid from {begin:%Y-%m-%d %H:%M} UTC on;"
            f" this machine's clock says {now:%Y-%m-%d %H:%M} UTC",
            next_step="wait until then, or correct the clock",
        )


def _broken(
    certificates: Sequence[x509.Certificate], lower: x509.Certificate, where: str
) -> CertificateError:
    """The one after `lower` did not issue it."""
    if any(each is not lower and issued_by(lower, each) for each in certificates):
        message, step = "the certificates are in the wrong order", "put them in this order"
    elif _anchored(lower):
        message = "a certificate does not belong to the chain"
        step = f"end the file with {title(lower.subject)}"
    else:
        return _missing(lower, where)
    return CertificateError(
        message, where=where, found=_listed(certificates), expected=_ORDER, next_step=step
    )


def _missing(last: x509.Certificate, where: str) -> CertificateError:
    issuer = title(last.issuer)
    return CertificateError(
        "the certificate chain is not complete",
        where=where,
        found=f"{title(last.subject)} was issued by {issuer}, which is not in the file",
        expected=f"{_ORDER}, up to one whose issuer browsers know",
        next_step=f"append the certificate of {issuer}, also if it is a root of your own;"
        " certbot's fullchain.pem has what is needed",
    )


def _anchored(certificate: x509.Certificate) -> bool:
    """Whether nothing is missing above it."""
    if issued_by(certificate, certificate):
        return True
    return any(issued_by(certificate, root) for root in _roots(where()).get(certificate.issuer, ()))


@cache
def _roots(bundle: str) -> dict[x509.Name, list[x509.Certificate]]:
    """What browsers trust: Mozilla's list, as certifi has it."""
    found: dict[x509.Name, list[x509.Certificate]] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # old roots bend rules that were made after them
        for block in _PEM.findall(Path(bundle).read_bytes()):
            with suppress(ValueError):  # and one that cannot be read spoils no others
                root = x509.load_pem_x509_certificate(block)
                found.setdefault(root.subject, []).append(root)
    return found


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _serves(certificate: x509.Certificate) -> bool:
    try:
        uses = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True  # RFC 5280, 4.2.1.12: no such extension, no restriction
    allowed = {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
    return not allowed.isdisjoint(uses)


def _listed(certificates: Sequence[x509.Certificate]) -> str:
    names = (title(each.subject) or ", ".join(dns_names(each)) for each in certificates)
    return "; ".join(f"{number}. {name}" for number, name in enumerate(names, 1))
