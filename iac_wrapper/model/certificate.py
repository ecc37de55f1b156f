"""A leaf certificate as the verdict table, the plan and drift detection see it: public facts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path


@dataclass(frozen=True)
class Leaf:
    """One service's certificate on disk.

    `directory` is what is mounted at /etc/iac/tls. `fingerprint` is the SHA-256 of the DER form,
    64 hex digits; `serial` is hexadecimal; `not_before` and `not_after` are in UTC. `issued` says
    whether the call that returned this made it (a second deploy makes none).
    """

    directory: Path
    fingerprint: str
    serial: str
    not_before: datetime
    not_after: datetime
    dns_names: tuple[str, ...]
    uris: tuple[str, ...]
    issued: bool = False

    @property
    def identity(self) -> str:
        """The SPIFFE ID, ``spiffe://<trust domain>/<name>``; empty when there is none."""
        return next((uri for uri in self.uris if uri.startswith("spiffe://")), "")

    @property
    def certificate(self) -> Path:
        """The leaf and its intermediates, PEM."""
        return self.directory / "tls.crt"

    @property
    def key(self) -> Path:
        """The private key, PKCS8 PEM."""
        return self.directory / "tls.key"

    @property
    def trusted(self) -> Path:
        """The root that peers are checked against, PEM."""
        return self.directory / "ca.crt"


def spiffe_id(trust_domain: str, name: str) -> str:
    """The identity of `name` in `trust_domain`."""
    return f"spiffe://{trust_domain}/{name}"
