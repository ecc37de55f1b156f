"""Certificates of public hosts: the newest good one of each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509

from iac_wrapper.files.layout import Layout

CURRENT = "current"
"""The link to the folder of the newest good certificate of a host."""


@dataclass(frozen=True)
class PublicCertificate:
    """A host's certificate: its files, the names it is for, when it ends, who issued it."""

    cert: Path
    key: Path
    names: tuple[str, ...]
    not_after: datetime
    issuer: str


def current(layout: Layout, project: str, host: str) -> PublicCertificate | None:
    """The certificate of `host`; None: there is none that can be used."""
    folder = layout.public_certificates(project) / host
    link = folder / CURRENT
    try:
        found = folder / link.readlink()
        leaf = x509.load_pem_x509_certificates((found / "cert.pem").read_bytes())[0]
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, x509.ExtensionNotFound):
        return None
    return PublicCertificate(
        cert=found / "cert.pem",
        key=found / "key.pem",
        names=tuple(names.get_values_for_type(x509.DNSName)),
        not_after=leaf.not_valid_after_utc,
        issuer=leaf.issuer.rfc4514_string(),
    )
