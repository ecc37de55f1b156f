"""How many failed authentications a peer is granted. In memory; it must not know tokens."""

from __future__ import annotations

import hashlib
import math
import secrets
import time

from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

LIMIT = 10
WINDOW = 60
"""Seconds."""

_BUCKETS = 2048


class Failures:
    """Counts failures of each peer over the last minute.

    Peers share 2,048 counters by a hash that nobody outside can predict: memory stays bounded
    whatever addresses an attacker has, and nobody can choose whom to lock out.
    """

    def __init__(self, *, limit: int = LIMIT, window: int = WINDOW) -> None:
        self._item = RateLimitItemPerSecond(limit, window)
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._salt = secrets.token_bytes(16)

    def add(self, peer: str) -> None:
        """One more failure of `peer`."""
        self._limiter.hit(self._item, self._bucket(peer))

    def wait(self, peer: str) -> int:
        """Whole seconds until `peer` may try again; 0: now."""
        bucket = self._bucket(peer)
        if self._limiter.test(self._item, bucket):
            return 0
        reset = self._limiter.get_window_stats(self._item, bucket).reset_time
        return max(1, math.ceil(reset - time.time()))

    def _bucket(self, peer: str) -> str:
        digest = hashlib.blake2b(peer.encode("utf-8", "replace"), key=self._salt, digest_size=8)
        return str(int.from_bytes(digest.digest(), "big") % _BUCKETS)
