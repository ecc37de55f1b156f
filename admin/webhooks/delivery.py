"""A delivery: proven to come from its host, and the push it brings, if it brings one."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from admin.webhooks import push as pushes
from admin.webhooks import signature
from admin.webhooks.push import Host, Push
from iac_wrapper.settings import Settings

_EVENT_HEADER: Mapping[Host, str] = {
    "gh": "x-github-event",
    "gl": "x-gitlab-event",
    "bb": "x-event-key",
}

_PUSHES: Mapping[Host, frozenset[str]] = {
    "gh": frozenset(("push",)),
    "gl": frozenset(("Push Hook", "Tag Push Hook")),
    "bb": frozenset(("repo:push",)),
}


@dataclass(frozen=True)
class Delivery:
    """A delivery whose sender is proven.

    `key` (64 hex digits) tells the delivery from others by what is signed; see `Replays`. `push`
    is None if there is nothing to do, and `reason` says why.
    """

    key: str
    push: Push | None
    reason: str = ""


def verify(
    host: Host,
    headers: Mapping[str, str],
    body: bytes,
    settings: Settings,
    *,
    clock: Callable[[], float] = time.time,
) -> Delivery:
    """Prove who sent a delivery, then read it.

    Args:
        host: whose webhook address was called.
        headers: names in any case.
        body: as received.
        settings: hold the webhooks' secrets.
        clock: seconds since 1970.

    Raises:
        Problem: 404 (no secret is set), 401 (no good signature), 400 (not a push's payload).
    """
    lower = {name.lower(): value for name, value in headers.items()}
    identity = signature.check(host, lower, body, settings, now=clock())
    event = lower.get(_EVENT_HEADER[host], "")[:200]
    key = _key(host, identity, body)
    if event not in _PUSHES[host]:
        shown = repr(event) if event else "a delivery without an event's name"
        return Delivery(key, None, f"{shown} deploys nothing")
    return Delivery(key, pushes.parse(host, body))


def _key(host: Host, identity: str, body: bytes) -> str:
    parts = (host.encode(), identity.encode("utf-8", "replace"), body)
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()
