"""The gate before every call that needs somebody: from an Authorization header to an Actor.

It knows no routes and no scopes' meaning: callers look at `Actor.scopes`.
"""

from __future__ import annotations

import hmac
import re
import time
from collections.abc import Callable

from admin.actor import ALL_SCOPES, Actor, Via
from admin.auth.allow_list import AllowList
from admin.auth.auth_server import AuthServer
from admin.auth.bounded_http import TIMEOUT, BoundedHttp
from admin.auth.errors import AuthUnavailableError, NotAllowedError, TokenRefusedError
from admin.auth.failures import Failures
from admin.auth.jwks import KeySet
from admin.auth.positives import Identity, Positives
from admin.auth.token import MAX_LENGTH, bearer, payload_of
from admin.auth.verifier import Verifier
from admin.problem import Problem
from iac_wrapper.errors import ConfigError
from iac_wrapper.settings import Settings

_RETRY_AFTER = {"Retry-After": "5"}
_FORM = (
    "one header Authorization with the scheme Bearer and an access token of at most "
    f"{MAX_LENGTH:,} characters"
)


class Gate:
    """Authenticates callers; any thread may use it.

    Args:
        settings: SUPABASE_URL, SUPABASE_SERVICE_ROLE_KEY and IAC_ADMIN_USERS are used.
        timeout: seconds that a question to the auth server may take in all.
        clock: seconds that only go forward, for caches.
        now: Unix time, for claims.

    Raises:
        ConfigError: one of the settings is wrong. A missing one is not: it shows in the answers.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        timeout: float = TIMEOUT,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._service_key = _service_key(settings)
        allow_list = AllowList.parse(settings.admin_users)
        self._failures = Failures()
        self._positives = Positives(clock=clock, now=now)
        self._verifier: Verifier | None = None
        url = settings.supabase_url
        if url and self._service_key:
            http = BoundedHttp(timeout=timeout)
            issuer = f"{url}/auth/v1"
            keys = KeySet(f"{issuer}/.well-known/jwks.json", http, clock=clock)
            server = AuthServer(url, self._service_key, http, now=now)
            self._verifier = Verifier(issuer, keys, server, allow_list, now=now)
        self._can_open = bool(url or self._service_key)

    def authenticate(
        self, authorization: str | None, *, peer: str, mutating: bool, via: Via = "http"
    ) -> Actor:
        """Who sent this header.

        Args:
            authorization: the header's value; None if there is none.
            peer: where the caller is, for the count of failures and the audit.
            mutating: True asks the auth server anew, so that a log-out counts at once.
            via: the way in.

        Raises:
            Problem: 401 (no or no good token), 403 (on no list), 429 (too many failures from
                this peer), 503 (not configured, or the auth server does not answer).
        """
        if not self._can_open:
            raise _not_configured()
        if authorization is None:
            raise _unauthenticated()
        token = bearer(authorization)
        if token and self._is_service_key(token):
            return Actor("service_role", "service_role", "", ALL_SCOPES, via, peer)
        known = self._positives.get(token) if token else None
        if known is None:
            self.check_failures(peer)
        if known is None or mutating:
            known = self._identify(token, peer, mutating=mutating)
        return Actor("user", known.id, known.email, known.scopes, via, peer)

    def _is_service_key(self, token: str) -> bool:
        return hmac.compare_digest(token.encode("ascii"), self._service_key.encode("ascii"))

    def check_failures(self, peer: str) -> None:
        """Refuse a peer that failed too often.

        Raises:
            Problem: 429.
        """
        seconds = self._failures.wait(peer)
        if seconds:
            raise Problem(
                429,
                "too-many-failures",
                "too many failed authentications from this address",
                headers={"Retry-After": str(seconds)},
                next_step=f"try again in {seconds} s",
                retryable=True,
            )

    def count_failure(self, peer: str) -> None:
        """Note one that another proof than a token led to: a webhook's signature."""
        self._failures.add(peer)

    def _identify(self, token: str | None, peer: str, *, mutating: bool) -> Identity:
        found = self._verdict(token, mutating=mutating)
        if isinstance(found, Identity):
            return found
        if found.status in (401, 403):
            self.count_failure(peer)
            if token:
                self._positives.drop(token)
        raise found

    def _verdict(self, token: str | None, *, mutating: bool) -> Identity | Problem:
        """Returns problems instead of raising them: as context they would drag others along."""
        if token is None:
            return _invalid("malformed")
        if self._verifier is None:
            return _not_configured()
        try:
            identity = self._verifier.identify(token, mutating=mutating)
        except TokenRefusedError as refused:
            return _invalid(refused.reason)
        except NotAllowedError:
            return _not_allowed()
        except AuthUnavailableError:
            return _unavailable()
        self._positives.put(token, identity)
        return identity


def _service_key(settings: Settings) -> str:
    """The key, after a look at whether it is one: a public key here would let everybody in."""
    key = settings.supabase_service_role_key
    payload = payload_of(key)
    of_others = payload is not None and payload.get("role") != "service_role"
    found = ""
    if key.startswith("sb_publishable_") or of_others:
        found = "a key of another kind (the anon and publishable keys are public)"
    elif key and not re.fullmatch(r"[A-Za-z0-9._~+/=-]+", key):
        found = "characters that no key has"
    if found:
        raise ConfigError(
            "bad setting",
            where="SUPABASE_SERVICE_ROLE_KEY",
            found=found,
            expected="the service role key: a JWT with role service_role, or sb_secret_…",
            next_step="copy it from the project's API settings into .env or the environment",
        )
    return key


def _unauthenticated() -> Problem:
    return Problem(
        401,
        "unauthenticated",
        "a token is needed",
        expected=_FORM,
        next_step="sign in at the Supabase project for a token, or use the Unix socket",
        headers={"WWW-Authenticate": "Bearer"},
    )


def _invalid(reason: str) -> Problem:
    return Problem(
        401,
        "invalid-token",
        "the token is not accepted",
        headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
        reason=reason or None,
        expected=_FORM if reason == "malformed" else None,
    )


def _not_allowed() -> Problem:
    return Problem(
        403,
        "not-allowed",
        "this user may not use the admin API",
        next_step="have the user's id or e-mail address added to IAC_ADMIN_USERS",
    )


def _unavailable() -> Problem:
    return Problem(
        503,
        "auth-unavailable",
        "the auth server does not answer, so this token cannot be checked",
        headers=_RETRY_AFTER,
        next_step="try again; on the machine itself the Unix socket works without it",
        retryable=True,
    )


def _not_configured() -> Problem:
    return Problem(
        503,
        "auth-not-configured",
        "users cannot be authenticated: Supabase is not configured",
        next_step="set SUPABASE_URL and SUPABASE_SERVICE_ROLE_KEY in .env or the environment,"
        " and restart; the Unix socket works without them",
    )
