"""The verdict on a deploy: one row per service, and what is wrong with those that are not good."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from iac_wrapper.model.app import ResolvedApp
from iac_wrapper.model.diagnosis import Diagnosis
from iac_wrapper.model.health import Health, Probe


@dataclass(frozen=True)
class UrlFault:
    """A URL at which people do not get the service. `outage`: it should have answered."""

    url: str
    why: str
    outage: bool

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {"url": self.url, "why": self.why, "outage": self.outage}


@dataclass(frozen=True)
class ServiceReport:
    """What was proven about one service.

    `rotated`: it served the certificate that is on disk, not an older one. `changed`: the deploy
    that this is the verdict on made, replaced, updated or restarted one of its containers.
    `certificate` says what is wrong with the certificate on disk, though the one in memory may
    still be served. `broken_before`: it neither did that nor named the service, which was not good
    before either. `previous` is the version that serves in place of this one, which failed;
    `put_back`: it did not go on serving, but was stopped for this one and then started again.
    `warnings` are sentences on one that is good, and on limits that one has reached. `urls` are
    those under which people reach it, `url_faults` those of them that do not lead to it though it
    is good.
    """

    app: ResolvedApp
    identity: str
    health: Health
    probe: Probe
    rotated: bool
    diagnosis: Diagnosis | None
    certificate: str = ""
    changed: bool = False
    broken_before: bool = False
    previous: ResolvedApp | None = None
    warnings: tuple[str, ...] = ()
    put_back: bool = False
    urls: tuple[str, ...] = ()
    url_faults: tuple[UrlFault, ...] = ()

    @property
    def reached(self) -> bool:
        """Whether people get it wherever they should."""
        return not any(fault.outage for fault in self.url_faults)

    @property
    def good(self) -> bool:
        """SERVING under the right identity and certificate, and a stranger was refused."""
        proven = self.health.serving and self.probe.refused is True
        return proven and self.rotated and not self.certificate

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form: the row of the verdict table."""
        finding = self.diagnosis.finding if self.diagnosis else None
        return {
            "name": self.app.name,
            "status": self.health.status,
            "phase": self.health.phase,
            "identity": self.identity,
            "identity_proven": self.health.identity == self.identity,
            "no_certificate_refused": self.probe.refused,
            "certificate_expires": self.health.expires and self.health.expires.isoformat(),
            "exit_code": self.health.exit_code,
            "signal": self.health.signal,
            "oom_killed": self.health.oom,
            "oom_kills": self.health.oom_kills,
            "message": finding.cause if finding else self.health.message,
            "port": self.health.port,
            "evidence": (finding.evidence if finding else self.health.evidence) or None,
            "cause": finding.code if finding else None,
            "next_step": finding.next_step if finding else None,
            "seconds": round(self.health.seconds, 3),
            "slug": self.app.slug,
            "commit": self.app.commit,
            "image": self.app.image,
            "entrypoint": self.app.entrypoint.display,
            "entrypoint_reason": self.app.entrypoint.reason,
            "previous": self.previous
            and {
                "slug": self.previous.slug,
                "commit": self.previous.commit,
                "image": self.previous.image,
                "put_back": self.put_back,
            },
            "urls": list(self.urls),
            "url_faults": [fault.to_dict() for fault in self.url_faults],
            "run": self.app.run,
            "notes": list(self.app.notes),
            "warnings": list(self.warnings),
            "changed": self.changed,
            "broken_before": self.broken_before,
        }


@dataclass(frozen=True)
class ProjectReport:
    """The verdict on a project. With `strict`, what was broken before counts as well."""

    project: str
    services: tuple[ServiceReport, ...]
    strict: bool = False

    @property
    def good(self) -> bool:
        """True if every service is that counts, and people reach it."""
        return not self.failed

    @property
    def failed(self) -> tuple[ServiceReport, ...]:
        """The services that are not good and count, and those that people do not reach."""
        bad = (service for service in self.services if not (service.good and service.reached))
        return tuple(service for service in bad if self.strict or not service.broken_before)

    @property
    def broken_before(self) -> tuple[ServiceReport, ...]:
        """The services that were broken before, and still are."""
        return tuple(s for s in self.services if s.broken_before and not s.good)

    def with_rows(self, rows: Iterable[ServiceReport]) -> ProjectReport:
        """The same with other rows for some services, or with rows for some more."""
        known = {row.app.name: row for row in (*self.services, *rows)}
        return replace(self, services=tuple(known[name] for name in sorted(known)))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "project": self.project,
            "verdict": "ok" if self.good else "unhealthy",
            "services": [service.to_dict() for service in self.services],
        }
