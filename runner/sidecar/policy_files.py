"""What Envoy is told of a policy: rules for HTTP requests, callers of TCP ports. Text, no I/O."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from string import Template
from typing import Any

from runner.sidecar import policy as policies
from runner.sidecar.policy import CONTROL_PLANE, INGRESS, OPERATOR, Policy

ROUTES = "routes.yaml"

AMBIGUOUS = r"(?i).*(/\.\.?([/;].*)?|(\\|%2e|%2f|%5c).*)"
"""Paths that a server may take for others (RE2, whole): behind a prefix that is allowed they would
lead anywhere, as ``/api/../admin`` does."""

_EVERYTHING = {"any": True}


@dataclass(frozen=True)
class Admission:
    """Who may call one service now: a policy, and whether an operator has a lease."""

    service: str = ""
    trust_domain: str = ""
    policy: Policy = field(default_factory=Policy)
    operator: bool = False

    @property
    def callers(self) -> dict[str, tuple[str, ...]]:
        """Everybody but the ingress, with their rules; a service may always call itself."""
        everything = [CONTROL_PLANE, self.service, *([OPERATOR] if self.operator else [])]
        return {**self.policy.callers, **dict.fromkeys(everything, ())}

    def tcp(self, offered: tuple[int, ...]) -> tuple[tuple[int, str], ...]:
        """Who may open which of the offered ports: (port, caller)."""
        callers = sorted(self.callers.items())
        return tuple(
            (port, name)
            for port in offered
            for name, rules in callers
            if not rules or port in policies.ports(rules)
        )

    def routes(self, documents: Mapping[str, str]) -> str:
        """Envoy's routes of the way in, with the rules, of which the version is a hash."""
        rules = self._rbac(self._policies(), track_per_rule_stats=True)
        known = {*self.callers, *self.policy.services}
        asking = {"known": self._policy(*sorted(known))}
        values = {"rules": json.dumps(rules), "known": json.dumps(self._rbac(asking))}
        version = hashlib.sha256("".join(values.values()).encode()).hexdigest()[:16]
        return Template(documents[ROUTES]).substitute(values, version=version)

    def _policies(self) -> dict[str, Any]:
        found = {}
        for name, rules in self.callers.items():
            if permissions := [_permission(path) for path in policies.paths(rules)]:
                found[name] = self._policy(name, permissions=permissions)
            elif not rules:
                found[name] = self._policy(name)
        if self.policy.ingress:
            found[INGRESS] = self._policy(INGRESS)
        return found

    def _policy(self, *names: str, permissions: list[Any] | None = None) -> dict[str, Any]:
        identities = [f"spiffe://{self.trust_domain}/{name}" for name in names]
        return {
            "permissions": permissions or [_EVERYTHING],
            "principals": [
                {"authenticated": {"principal_name": {"exact": each}}} for each in identities
            ],
        }

    @staticmethod
    def _rbac(found: dict[str, Any], **more: bool) -> dict[str, Any]:
        return {"rules": {"action": "ALLOW", "policies": found}, **more}


def _permission(path: str) -> dict[str, Any]:
    if not path.endswith("*"):
        return {"url_path": {"path": {"exact": path}}}
    prefix = {"url_path": {"path": {"prefix": path[:-1]}}}
    ambiguous = {"url_path": {"path": {"safe_regex": {"regex": AMBIGUOUS}}}}
    return {"and_rules": {"rules": [prefix, {"not_rule": ambiguous}]}}
