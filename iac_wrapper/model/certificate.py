"""A leaf certificate as the verdict table, the plan and drift detection see it: public facts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

CONTROL_PLANE = "control-plane"
"""The name in the identity of the user who runs iac; no service can have it."""

INGRESS = "ingress"
"""The name in the identity of what lets the world in to exposed services."""

_SCHEME = "spiffe://"


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
        return next((uri for uri in self.uris if uri.startswith(_SCHEME)), "")

    @property
    def renew_at(self) -> datetime:
        """The moment after which a deploy issues anew: a third of the life is left."""
        return self.not_after - (self.not_after - self.not_before) / 3

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
    """The identity of `name` in `trust_domain`; with an empty name, what all of them start with."""
    return f"{_SCHEME}{trust_domain}/{name}"


def trust_domain_of(identity: str) -> str:
    """The trust domain of a SPIFFE ID.

    Raises:
        ValueError: it is none.
    """
    if not identity.startswith(_SCHEME):
        raise ValueError(f"not a SPIFFE ID: {identity!r}")
    return identity.removeprefix(_SCHEME).partition("/")[0]
