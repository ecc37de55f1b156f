"""What a Bearer token says about itself, before anybody has verified it. No I/O."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from admin.auth.errors import TokenRefusedError
from admin.strict_json import load_object

MAX_LENGTH = 8192
"""Characters of a token. Supabase's are about 1,000; a large app_metadata makes them longer."""

ALGORITHMS = ("ES256", "RS256", "HS256")

# RFC 6750, section 2.1: no comma, so two joined headers never look like one token.
_BEARER = re.compile(rf"(?i:bearer) ([A-Za-z0-9._~+/=-]{{1,{MAX_LENGTH}}})", re.ASCII)
_KID = re.compile(r"[\x21-\x7e]{1,256}")

# Keys that a token brings along or points at, and extensions that change what is signed.
_FOREIGN = frozenset(("jku", "x5u", "jwk", "x5c", "crit", "b64", "enc", "zip"))


@dataclass(frozen=True)
class UnverifiedToken:
    """A well-formed token's own words. `kid` is empty if there is none (HS256 only)."""

    algorithm: str
    kid: str
    payload: Mapping[str, Any]


def bearer(authorization: str) -> str | None:
    """The token of an Authorization header that is exactly one ``Bearer TOKEN``."""
    match = _BEARER.fullmatch(authorization)
    return match[1] if match else None


def parse_token(token: str) -> UnverifiedToken:
    """Take a compact JWT apart.

    Raises:
        TokenRefusedError: it is none, or its header names a key or an algorithm that we never use.
    """
    parts = token.split(".")
    if len(parts) != 3 or not _decoded(parts[2]):
        raise TokenRefusedError("malformed")
    header, payload = _segment(parts[0]), _segment(parts[1])
    if header is None or payload is None:
        raise TokenRefusedError("malformed")
    return UnverifiedToken(_algorithm(header), _kid(header), payload)


def payload_of(text: str) -> Mapping[str, Any] | None:
    """What a JWT says, None for any other text."""
    parts = text.split(".")
    return _segment(parts[1]) if len(parts) == 3 else None


def _algorithm(header: Mapping[str, Any]) -> str:
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise TokenRefusedError("algorithm_not_accepted")
    if not _FOREIGN.isdisjoint(header):
        raise TokenRefusedError("header_not_accepted")
    return algorithm


def _kid(header: Mapping[str, Any]) -> str:
    if "kid" not in header and header["alg"] == "HS256":
        return ""
    kid = header.get("kid")
    if not isinstance(kid, str) or not _KID.fullmatch(kid):
        raise TokenRefusedError("header_not_accepted")
    return kid


def _segment(text: str) -> dict[str, Any] | None:
    data = _decoded(text)
    return None if data is None else load_object(data)


def _decoded(text: str) -> bytes | None:
    """The bytes in unpadded base64url; None also for spellings no encoder makes."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return None
    canonical = base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
    return data if canonical == text else None
