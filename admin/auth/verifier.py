"""From a token to a user on the allow-list: rules first, then signature, then the auth server."""

from __future__ import annotations

from collections.abc import Callable

import jwt

from admin.auth import claims, token
from admin.auth.allow_list import AllowList
from admin.auth.auth_server import AuthServer
from admin.auth.claims import Claims
from admin.auth.errors import NotAllowedError, TokenRefusedError
from admin.auth.jwks import KeySet
from admin.auth.positives import Identity
from admin.auth.token import UnverifiedToken


class Verifier:
    """Verifies the tokens of one project.

    Args:
        issuer: what `iss` must be.
        keys: the project's public keys.
        server: its user endpoint.
        allow_list: who may do what.
        now: Unix time.
    """

    def __init__(
        self,
        issuer: str,
        keys: KeySet,
        server: AuthServer,
        allow_list: AllowList,
        *,
        now: Callable[[], float],
    ) -> None:
        self._issuer = issuer
        self._keys = keys
        self._server = server
        self._allow_list = allow_list
        self._now = now

    def identify(self, text: str, *, mutating: bool) -> Identity:
        """The user whose token this is.

        The auth server is asked for HS256, for every mutating call, and when an e-mail address
        decides: a token does not say whether its address was ever confirmed.

        Raises:
            TokenRefusedError: it is nobody's, or not one of a signed-in user.
            NotAllowedError: the user is not on the list.
            AuthUnavailableError: the auth server does not tell.
        """
        unverified = token.parse_token(text)
        found = self._check(unverified)
        if unverified.algorithm != "HS256":
            found = self._signed(text, unverified)
            if not mutating and not self._email_decides(found):
                return self._identity(found, email=found.email, confirmed="", role=found.role)
        user = self._server.user(text)
        found = self._check(unverified)  # time has passed
        if user.id != found.sub:
            raise TokenRefusedError("wrong_user")
        return self._identity(found, email=user.email, confirmed=user.email, role=user.role)

    def _check(self, unverified: UnverifiedToken) -> Claims:
        return claims.check(unverified.payload, issuer=self._issuer, now=self._now())

    def _signed(self, text: str, unverified: UnverifiedToken) -> Claims:
        key = self._keys.find(unverified.kid, unverified.algorithm)
        payload = _payload(text, key, unverified.algorithm, self._issuer) if key else None
        if payload is None:
            raise TokenRefusedError("bad_jwt")
        return claims.check(payload, issuer=self._issuer, now=self._now())

    def _email_decides(self, found: Claims) -> bool:
        without = self._allow_list.scopes(found.sub, email="", role=found.role)
        return without != self._allow_list.scopes(found.sub, email=found.email, role=found.role)

    def _identity(self, found: Claims, *, email: str, confirmed: str, role: str) -> Identity:
        scopes = self._allow_list.scopes(found.sub, email=confirmed, role=role)
        if not scopes:
            raise NotAllowedError
        return Identity(found.sub, email, scopes, found.exp)


def _payload(text: str, key: jwt.PyJWK, algorithm: str, issuer: str) -> dict[str, object] | None:
    """What the key's owner signed; None if it did not."""
    try:
        return jwt.decode(
            text,
            key,
            algorithms=[algorithm],
            audience=claims.AUDIENCE,
            issuer=issuer,
            # The rule for iat grants some seconds of skew: it is ours.
            options={"require": list(claims.REQUIRED), "verify_iat": False},
        )
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
