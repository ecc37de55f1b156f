"""The public keys of a Supabase project: fetched, filtered and kept for a while."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from admin.auth.bounded_http import BoundedHttp, HttpAnswer
from admin.auth.errors import AuthUnavailableError
from admin.strict_json import load_object

LIFETIME = 600.0
"""Seconds that a key set is used."""

UNKNOWN_EVERY = 60.0
"""Seconds between two fetches because of a key that is not in the set."""

FAILED_EVERY = 5.0
"""Seconds between two attempts to get a set while the server does not answer."""

Keys = Mapping[tuple[str, str], jwt.PyJWK]
"""Key id and algorithm -> key."""

_PRIVATE = frozenset(("d", "p", "q", "dp", "dq", "qi", "oth", "k"))


@dataclass(frozen=True)
class _Fetched:
    keys: Keys
    at: float


class KeySet:
    """Keys by id and algorithm; any thread may ask, one fetches and the others wait for it.

    Args:
        url: where the set is.
        http: how to get it.
        clock: seconds that only go forward.
    """

    def __init__(self, url: str, http: BoundedHttp, *, clock: Callable[[], float]) -> None:
        self._url = url
        self._http = http
        self._clock = clock
        self._lock = Lock()
        self._fetched: _Fetched | None = None
        self._sought = -math.inf
        self._failed: float | None = None

    def find(self, kid: str, algorithm: str) -> jwt.PyJWK | None:
        """The key; None if the project has none of that id for that algorithm.

        Raises:
            AuthUnavailableError: the set is too old or lacks the key, and there is no newer one.
        """
        key = self._known(kid, algorithm)
        if key is not None:  # without the lock: a fetch must not hold up those it is not for
            return key
        if not self._lock.acquire(timeout=self._http.timeout):
            raise AuthUnavailableError
        try:
            return self._known(kid, algorithm) or self._look_up(kid, algorithm)
        finally:
            self._lock.release()

    def _known(self, kid: str, algorithm: str) -> jwt.PyJWK | None:
        fetched = self._fresh()
        return fetched.keys.get((kid, algorithm)) if fetched else None

    def _fresh(self) -> _Fetched | None:
        fetched = self._fetched
        return fetched if fetched and self._clock() - fetched.at < LIFETIME else None

    def _look_up(self, kid: str, algorithm: str) -> jwt.PyJWK | None:
        """Fetch if it is time to; the lock is held."""
        now = self._clock()
        was_fresh = self._fresh() is not None
        pause = UNKNOWN_EVERY if was_fresh else FAILED_EVERY
        if self._failed is not None:
            if now - self._failed < pause:
                raise AuthUnavailableError
        elif was_fresh and now - self._sought < pause:
            return None
        self._fetch(now)
        key = self._known(kid, algorithm)
        if was_fresh or key is None:
            self._sought = now
        return key

    def _fetch(self, now: float) -> None:
        self._failed = now
        keys = _keys(self._http.get(self._url, {"Accept": "application/json"}))
        self._fetched, self._failed = _Fetched(keys, now), None


def _keys(answer: HttpAnswer) -> Keys:
    body = load_object(answer.body) if answer.status == 200 else None
    entries = body.get("keys") if body else None
    if not isinstance(entries, list):
        raise AuthUnavailableError
    found = {}
    for entry in entries:
        kid = entry.get("kid") if isinstance(entry, dict) else None
        key = _key(entry) if isinstance(kid, str) else None
        if isinstance(kid, str) and key is not None:
            found[kid, key.algorithm_name] = key
    return found


def _key(entry: Mapping[str, Any]) -> jwt.PyJWK | None:
    """An entry as a key for signatures; None for kinds we do not use and for anything secret."""
    algorithm = {("EC", "P-256"): "ES256", ("RSA", None): "RS256"}.get(
        (str(entry.get("kty")), entry.get("crv") if entry.get("kty") == "EC" else None)
    )
    if algorithm is None or entry.get("alg", algorithm) != algorithm:
        return None
    if entry.get("use", "sig") != "sig" or not _PRIVATE.isdisjoint(entry):
        return None
    try:
        key = jwt.PyJWK(dict(entry), algorithm=algorithm)
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    weak = isinstance(key.key, RSAPublicKey) and key.key.key_size < 2048
    return None if weak else key
