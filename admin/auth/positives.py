"""Who was accepted a moment ago. It must not know tokens, only their hashes."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from admin.actor import Scope

LIFETIME = 30.0
"""Seconds that an answer of the auth server is believed, for reads."""

MAX_ENTRIES = 1024


@dataclass(frozen=True)
class Identity:
    """A verified user who is on the allow-list. `exp` is the token's expiry (Unix time)."""

    id: str
    email: str
    scopes: frozenset[Scope]
    exp: float


class Positives:
    """Identities by token; any thread may use it.

    Args:
        clock: seconds that only go forward, for the lifetime of entries.
        now: Unix time, for the expiry of tokens.
    """

    def __init__(self, *, clock: Callable[[], float], now: Callable[[], float]) -> None:
        self._clock = clock
        self._now = now
        self._entries: OrderedDict[bytes, tuple[float, Identity]] = OrderedDict()
        self._lock = Lock()

    def get(self, token: str) -> Identity | None:
        """Whose token this is, if that was found out less than 30 s ago."""
        with self._lock:
            until, identity = self._entries.get(_key(token), (0.0, None))
        if identity is None or self._clock() >= until or self._now() >= identity.exp:
            return None
        return identity

    def put(self, token: str, identity: Identity) -> None:
        """Remember an accepted token; the oldest of too many is forgotten."""
        with self._lock:
            self._entries[_key(token)] = (self._clock() + LIFETIME, identity)
            self._entries.move_to_end(_key(token))
            if len(self._entries) > MAX_ENTRIES:
                self._entries.popitem(last=False)

    def drop(self, token: str) -> None:
        """Forget a token that was refused."""
        with self._lock:
            self._entries.pop(_key(token), None)


def _key(token: str) -> bytes:
    return hashlib.sha256(token.encode("ascii")).digest()
