"""Who may call a service: the document that its sidecar judges requests by. Pure.

It follows from the lock alone. The sidecar's half repeats the form (runner/sidecar/policy.py).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from typing import NamedTuple

from iac_wrapper.errors import ConfigError
from iac_wrapper.model.app import ResolvedApp
from iac_wrapper.model.lock import LockFile

POLICY = "IAC_POLICY"
"""The variable of a sidecar with the policy that it begins with."""

Grants = Mapping[str, tuple[str, ...]]
"""What each caller may do, by its name: rules, none for everything."""


@dataclass(frozen=True)
class Policy:
    """One service's: its callers with their rules, whether the ingress may call, and the names of
    all services of the project."""

    callers: Grants
    ingress: bool
    services: tuple[str, ...]

    @property
    def text(self) -> str:
        """The document, in the one form that its digest is of."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))

    @property
    def digest(self) -> str:
        """SHA-256 of the document, 64 hex digits."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def policies(lock: LockFile) -> dict[str, Policy]:
    """The policy of every service of `lock`, by name."""
    names = tuple(sorted(app.name for app in lock.apps))
    return {
        app.name: Policy(_callers(app, names), bool(app.options.expose), names) for app in lock.apps
    }


def either(one: Policy, other: Policy) -> Policy:
    """What one of the two allows: for the time in which a deploy goes from one to the other."""
    callers = dict(one.callers)
    for name, rules in other.callers.items():
        known = callers.get(name, rules)
        callers[name] = tuple(dict.fromkeys((*known, *rules))) if known and rules else ()
    services = tuple(sorted({*one.services, *other.services}))
    return Policy(callers, one.ingress or other.ingress, services)


def digest(lock: LockFile) -> str:
    """One hash of all policies of `lock`, 64 hex digits."""
    texts = [policy.text for policy in policies(lock).values()]
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def _callers(app: ResolvedApp, names: Sequence[str]) -> Grants:
    """Without `allow:` everybody. A service may always call itself: its one-offs do."""
    allowed = app.options.allow
    if allowed is None:
        return dict.fromkeys(names, ())
    return {**{name: rules for name, rules in allowed.items() if name in names}, app.name: ()}


class Granting(NamedTuple):
    """What a service allows, and where that is written (``file:line``, empty if not known)."""

    allow: Grants | None
    where: str = ""


def check(services: Mapping[str, Granting]) -> None:
    """Refuse an `allow:` that names nobody; `services` are all that there will be.

    Raises:
        ConfigError: a service allows one that is not there.
    """
    for error in problems(services):
        raise error


def problems(services: Mapping[str, Granting]) -> Iterator[ConfigError]:
    """Every error of `check`."""
    for name, (allow, where) in services.items():
        for caller in allow or ():
            if caller not in services:
                yield _unknown(name, caller, where, services)


def _unknown(name: str, caller: str, where: str, services: Collection[str]) -> ConfigError:
    near = get_close_matches(caller, services, n=1)
    return ConfigError(
        f"{name} allows {caller}, and there is no such service",
        where=where or f"service {name}",
        found=f"allow: {caller}",
        expected=(f"{near[0]!r}; " if near else "") + f"one of {', '.join(sorted(services))}",
        next_step="correct `allow:`, or add the service",
    )


def contradictions(lock: LockFile) -> list[str]:
    """Services that need another one and may not call it, a sentence each.

    That is allowed: `needs:` is about the order of first starts, and what is needed may work
    through a third service, such as a queue.
    """
    known = policies(lock)
    return [
        f"{app.name} needs {needed}, and the `allow:` of {needed} does not name it:"
        f" calls of {app.name} to {needed} are refused"
        for app in lock.apps
        for needed in app.options.needs
        if needed in known and app.name not in known[needed].callers
    ]
