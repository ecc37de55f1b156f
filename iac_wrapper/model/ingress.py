"""What the ingress of a project serves, and how it treats requests. Values, no I/O."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from iac_wrapper.model.exposure import PublicPorts, Route, url_of


@dataclass(frozen=True)
class Ingress:
    """Everything that listeners and routes are made from, but for certificates.

    `addresses` are those of the host that public ports are bound to, `trusted_proxies` the networks
    (CIDR) whose X-Forwarded headers are believed; `max_headers` and `max_headers_kb` (KiB) bound
    the headers of a request.
    """

    project: str
    routes: tuple[Route, ...]
    ports: PublicPorts
    addresses: tuple[str, ...] = ("0.0.0.0",)  # noqa: S104 - public hosts are for everybody
    trusted_proxies: tuple[str, ...] = ()
    max_headers: int = 100
    max_headers_kb: int = 60

    @property
    def has_local(self) -> bool:
        """Whether there is a service on the loopback port."""
        return any(route.is_local for route in self.routes)

    @property
    def has_public(self) -> bool:
        """Whether the public HTTP port is needed: also for certificates, by HTTP-01."""
        return any(not route.is_local for route in self.routes)

    @property
    def has_tls(self) -> bool:
        """Whether the public HTTPS port is needed."""
        return any(not r.is_local and r.exposure.tls != "off" for r in self.routes)

    @property
    def published(self) -> tuple[tuple[str, int, str], ...]:
        """What the container publishes: entrance, the host's port and address."""
        found = [("local", self.ports.local or 0, "127.0.0.1")] if self.has_local else []
        for address in self.addresses:
            found += [("http", self.ports.http, address)] if self.has_public else []
            found += [("https", self.ports.https, address)] if self.has_tls else []
        return tuple(found)

    @property
    def digest(self) -> str:
        """A hash of everything here: what Terraform compares."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def urls(self) -> dict[str, str]:
        """Service by URL: what a plan shows."""
        return {url_of(route, self.ports): route.service for route in self.routes}


@dataclass(frozen=True)
class ServedCertificate:
    """A host's certificate as the ingress sees it: paths in its container."""

    cert: str
    key: str


@dataclass(frozen=True)
class Shown:
    """What changes without a deploy: certificates by host, and the answers to ACME's HTTP-01
    challenges by token (RFC 8555, 8.3)."""

    certificates: Mapping[str, ServedCertificate] = field(default_factory=dict)
    challenges: Mapping[str, str] = field(default_factory=dict)
