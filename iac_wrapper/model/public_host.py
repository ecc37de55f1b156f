"""Host names that the ingress serves over TLS, and the certificates they have: public facts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from iac_wrapper.errors import IacError

_SOON = timedelta(days=30)
"""How long before its end a person is told of a certificate that they renew; of a life of less than
90 days it is a third, as for those that ACME renews."""

Action = Literal["kept", "installed", "obtained", "renewed", "waiting", "failed"]
"""What became of a host's certificate. ``installed``: from the user's files. ``waiting``: an
earlier request failed, and the time for the next has not come."""


@dataclass(frozen=True)
class Answers:
    """Puts an answer to ``/.well-known/acme-challenge/<token>`` of every host, and takes it away.

    `publish` has the token and the text to answer; it returns when the answer is there.
    """

    publish: Callable[[str, str], None]
    withdraw: Callable[[str], None]


@dataclass(frozen=True)
class PublicHost:
    """A host name, and the files of the user's that it is served with; None: ACME gets one."""

    name: str
    files: CertificateFiles | None = None


@dataclass(frozen=True)
class CertificateFiles:
    """Where the user keeps certificate, with the chain below it, and key; PEM, absolute paths."""

    certificate: Path
    key: Path


@dataclass(frozen=True)
class PublicCertificate:
    """A host's certificate as it is installed.

    `directory` has a number as name, another for every certificate of the host. `names` are DNS
    names; the times are in UTC; `fingerprint` is the SHA-256 of the DER form, hexadecimal. `source`
    is the URL of the ACME server that gave it, empty if it is the user's own.
    """

    host: str
    directory: Path
    names: tuple[str, ...]
    issuer: str
    fingerprint: str
    not_before: datetime
    not_after: datetime
    source: str

    @property
    def cert(self) -> Path:
        """The certificate and its intermediates, PEM."""
        return self.directory / "cert.pem"

    @property
    def key(self) -> Path:
        """The private key, PEM; only the ingress can read it."""
        return self.directory / "key.pem"

    @property
    def renew_at(self) -> datetime:
        """When a third of its life is left: from then on ACME is asked for another."""
        return self.not_after - (self.not_after - self.not_before) / 3

    @property
    def warn_at(self) -> datetime:
        """From when on a person is told to renew it."""
        return max(self.renew_at, self.not_after - _SOON)


@dataclass(frozen=True)
class CertificateResult:
    """What was done for one host.

    `certificate` is what it is served with now, None if there is none. `error` says why a request
    failed, now or, with `until`, before: then nothing is asked until that time (UTC).
    """

    host: str
    action: Action
    certificate: PublicCertificate | None = None
    error: IacError | None = None
    until: datetime | None = None

    @property
    def good(self) -> bool:
        """False if the host has no certificate, or if asking for one failed just now."""
        return self.certificate is not None and self.action != "failed"

    @property
    def is_new(self) -> bool:
        """Whether the ingress has another certificate to serve than before."""
        return self.action in ("installed", "obtained", "renewed")

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        found = self.certificate
        return {
            "host": self.host,
            "result": self.action,
            "issuer": found.issuer if found else None,
            "expires": found.not_after.isoformat() if found else None,
            "until": self.until.isoformat() if self.until else None,
            "error": self.error.to_dict() if self.error else None,
        }
