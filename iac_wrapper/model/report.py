"""The verdict on a deploy: one row per service, and what is wrong with those that are not good."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from iac_wrapper.model.app import ResolvedApp
from iac_wrapper.model.health import Health, Probe


@dataclass(frozen=True)
class Diagnosis:
    """Why a service is not good, with the ends of both logs."""

    state: str
    ended: str
    probe_error: str
    app_log: str
    envoy_log: str

    def render(self, service: str) -> str:
        """The diagnosis as text; raw program output still holds its control characters."""
        parts = [
            f"{service}: app container {self.state}; {self.ended}",
            f"  last probe: {self.probe_error or 'no error'}",
        ]
        for title, log in (("app", self.app_log), ("envoy", self.envoy_log)):
            parts.append(f"  last lines of {title}:")
            parts.extend("    " + line for line in log.splitlines() or ["(nothing)"])
        return "\n".join(parts)


@dataclass(frozen=True)
class ServiceReport:
    """What was proven about one service.

    `rotated`: it served the certificate that is on disk, not an older one.
    """

    app: ResolvedApp
    identity: str
    health: Health
    probe: Probe
    rotated: bool
    diagnosis: Diagnosis | None

    @property
    def good(self) -> bool:
        """SERVING under the right identity and certificate, and a stranger was refused."""
        return self.health.serving and self.probe.refused is True and self.rotated

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form: the row of the verdict table."""
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
            "message": self.health.message,
            "seconds": round(self.health.seconds, 3),
            "slug": self.app.slug,
            "commit": self.app.commit,
            "image": self.app.image,
            "entrypoint": self.app.entrypoint.display,
            "entrypoint_reason": self.app.entrypoint.reason,
            "run": self.app.run,
            "notes": list(self.app.notes),
        }


@dataclass(frozen=True)
class Report:
    """The verdict on a project."""

    project: str
    services: tuple[ServiceReport, ...]

    @property
    def good(self) -> bool:
        """True if every service is."""
        return all(service.good for service in self.services)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "project": self.project,
            "verdict": "ok" if self.good else "unhealthy",
            "services": [service.to_dict() for service in self.services],
        }
