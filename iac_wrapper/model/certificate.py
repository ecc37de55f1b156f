"""A leaf certificate as the verdict table, the plan and drift detection see it: public facts."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

CONTROL_PLANE = "control-plane"
"""The name in the identity of the user who runs iac; no service can have it."""

OPERATOR = "operator"
"""The name in the identity of a person who looks at a service through `iac proxy`."""

INGRESS = "ingress"
"""The name in the identity of what lets the world in to exposed services."""

_SCHEME = "spiffe://"

_RENEWED, _SPREAD, _LATE = 0.5, 0.1, 0.8
"""Parts of its life after which a leaf is renewed; over which those of a project are spread, so
that not all come at once; and after which people are warned that nobody does it."""

FaultCode = Literal[
    "missing",
    "damaged",
    "mismatch",
    "chain",
    "names",
    "usage",
    "not-yet",
    "expired",
    "authority",
    "owner",
    "lifetime",
    "due",
]


@dataclass(frozen=True)
class LeafFault:
    """Why a leaf will not do; `text` completes the sentence "it is issued anew: …"."""

    code: FaultCode
    text: str

    @property
    def harmless(self) -> bool:
        """Whether it is good for now, and only to be replaced in time."""
        return self.code in ("due", "lifetime")


@dataclass(frozen=True)
class Leaf:
    """One service's certificate on disk.

    `directory` is what is mounted at /etc/iac/tls. `fingerprint` is the SHA-256 of the DER form,
    64 hex digits; `serial` is hexadecimal; `not_before` and `not_after` are in UTC, and so is
    `issued_at`, when it was put there: `not_before` is earlier, for slow clocks. `issued` says
    whether the call that returned this made it (a second deploy makes none).
    """

    directory: Path
    fingerprint: str
    serial: str
    not_before: datetime
    issued_at: datetime
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
        """The moment after which it is issued anew: 50 to 60 % of its life, by its identity."""
        digest = hashlib.sha256(self.identity.encode()).digest()
        return self._after(_RENEWED + _SPREAD * digest[0] / 256)

    @property
    def warn_at(self) -> datetime:
        """The moment from which people are told of its end: a fifth of the life is left."""
        return self._after(_LATE)

    def _after(self, part: float) -> datetime:
        return self.issued_at + (self.not_after - self.issued_at) * part

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
