"""The rules for what a user's token must say, whoever verified its signature. No I/O, no clock."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from admin.auth.errors import TokenRefusedError

AUDIENCE = "authenticated"
REQUIRED = ("iss", "aud", "exp", "sub", "role", "session_id")

CLOCK_SKEW = 5.0
"""Seconds by which the auth server's clock may be ahead when it writes `iat`."""

_END_OF_TIME = 253402300800  # the year 10000: later numbers are mistakes or attacks
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


@dataclass(frozen=True)
class Claims:
    """What we use of a token: user id (lower case), expiry (Unix time), e-mail address, role.

    `email` and `role` (``app_metadata.iac_role``) are empty where there is none.
    """

    sub: str
    exp: float
    email: str
    role: str


def check(payload: Mapping[str, Any], *, issuer: str, now: float) -> Claims:
    """The claims of a signed-in user's token.

    The auth server itself accepts other audiences and issuers, tokens without expiry or session,
    and anonymous users (measured), so each rule is needed.

    Raises:
        TokenRefusedError: with the first rule that does not hold.
    """
    rules: tuple[tuple[str, Callable[[], bool]], ...] = (
        ("wrong_role", lambda: payload.get("role") == "authenticated"),
        ("wrong_issuer", lambda: payload.get("iss") == issuer),
        ("wrong_audience", lambda: payload.get("aud") in (AUDIENCE, [AUDIENCE])),
        ("no_expiry", lambda: is_time(payload.get("exp"))),
        ("expired", lambda: payload["exp"] > now),
        ("not_yet_valid", lambda: _past(payload, "nbf", now)),
        ("not_yet_valid", lambda: _past(payload, "iat", now + CLOCK_SKEW)),
        ("no_user", lambda: is_uuid(payload.get("sub"))),
        ("no_session", lambda: is_uuid(payload.get("session_id"))),
        ("anonymous", lambda: payload.get("is_anonymous", False) is False),
    )
    for reason, holds in rules:
        if not holds():
            raise TokenRefusedError(reason)
    return Claims(
        sub=payload["sub"].lower(),
        exp=float(payload["exp"]),
        email=email_of(payload),
        role=role_of(payload),
    )


def is_uuid(value: object) -> bool:
    """Whether `value` is a UUID's text, and not the nil UUID, which stands for nothing."""
    return isinstance(value, str) and bool(_UUID.fullmatch(value)) and value.strip("0-") != ""


def is_time(value: object) -> bool:
    """Whether `value` is a Unix time; True, NaN and infinities are not."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 <= value < _END_OF_TIME


def email_of(data: Mapping[str, Any]) -> str:
    """The member `email` if it can be one, else an empty text."""
    email = data.get("email")
    fits = isinstance(email, str) and len(email) <= 320 and "@" in email and email.isprintable()
    return email if isinstance(email, str) and fits else ""


def role_of(data: Mapping[str, Any]) -> str:
    """``app_metadata.iac_role``, which only the project's owner can write."""
    metadata = data.get("app_metadata")
    role = metadata.get("iac_role") if isinstance(metadata, dict) else None
    return role if isinstance(role, str) else ""


def _past(payload: Mapping[str, Any], name: str, now: float) -> bool:
    return name not in payload or (is_time(payload[name]) and payload[name] <= now)
