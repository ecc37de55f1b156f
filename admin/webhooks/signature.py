"""Whether a delivery comes from somebody who knows our webhook secret.

GitHub and Bitbucket sign the raw body. GitLab either signs it (a signing token, ``whsec_…``, by the
Standard Webhooks specification) or, older, sends the secret itself. It must not know what a body
means: nothing is parsed before its sender is proven.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from typing import NoReturn

from admin.problem import Problem
from admin.webhooks.push import Host
from iac_wrapper.errors import ConfigError
from iac_wrapper.settings import Settings

SETTING: Mapping[Host, str] = {
    "gh": "GITHUB_WEBHOOK_SECRET",
    "gl": "GITLAB_WEBHOOK_TOKEN",
    "bb": "BITBUCKET_WEBHOOK_SECRET",
}
MIN_LENGTH = 16
SIGNING_TOKEN = "whsec_"  # noqa: S105 - the prefix that tells the kind of a token
CLOCK_SECONDS = 300
"""How far a signed timestamp may be from our clock (the tolerance of the Standard Webhooks
libraries)."""


def check_secrets(settings: Settings) -> None:
    """Refuse secrets that could be guessed: a failure costs its sender next to nothing.

    Raises:
        ConfigError: one is set and shorter than `MIN_LENGTH`.
    """
    for name in SETTING.values():
        if 0 < len(settings.written(name)) < MIN_LENGTH:
            raise ConfigError(
                "this secret is too short",
                where=name,
                found=f"{len(settings.written(name))} characters",
                expected=f"{MIN_LENGTH} or more",
                next_step="make one with `openssl rand -hex 32`; set it here and at the git host",
            )


def check(
    host: Host, headers: Mapping[str, str], body: bytes, settings: Settings, *, now: float
) -> str:
    """Refuse a delivery that is not proven to come from `host`.

    The form of the configured secret alone decides what counts as proof, so that a sender cannot
    choose a weaker one.

    Args:
        host: who is said to have sent it.
        headers: by lower-case name.
        body: as received.
        settings: hold the secret.
        now: seconds since 1970.

    Returns:
        What besides the body tells this delivery from others, as far as it can be trusted: the
        signed id, GitLab's ids beside a plain token, or nothing.

    Raises:
        Problem: 404 if no secret is set, 401 if there is no good signature.
    """
    name = SETTING[host]
    secret: str = settings.written(name)
    if not secret:
        raise Problem(
            404,
            "webhook-not-configured",
            f"{name} is not set",
            next_step=f"set {name} in .env to the secret of the webhook, then restart the server",
        )
    if host == "gh":
        # The older X-Hub-Signature beside it is SHA-1, and not looked at.
        return _body_signature("X-Hub-Signature-256", headers, body, secret)
    if host == "bb":
        return _body_signature("X-Hub-Signature", headers, body, secret)
    if secret.startswith(SIGNING_TOKEN):
        return _standard_webhook(headers, body, secret, now)
    return _token(headers, secret)


def _body_signature(header: str, headers: Mapping[str, str], body: bytes, secret: str) -> str:
    given = headers.get(header.lower())
    if given is None:
        _refuse(f"there is no {header} header")
    expected = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    if not _equal(given, expected):
        _refuse(f"{header} does not match the body and the secret")
    return ""


def _token(headers: Mapping[str, str], secret: str) -> str:
    given = headers.get("x-gitlab-token")
    if given is None:
        _refuse("there is no X-Gitlab-Token header")
    if not _equal(given, secret):
        _refuse("X-Gitlab-Token is not the token that is set here")
    return "\0".join(headers.get(name, "") for name in ("x-gitlab-event-uuid", "idempotency-key"))


def _standard_webhook(headers: Mapping[str, str], body: bytes, secret: str, now: float) -> str:
    """standard-webhooks.com: ``v1,<base64 of HMAC-SHA256(key, id.timestamp.body)>``, any of many.

    The id stays the same when a delivery is sent again, the timestamp does not.
    """
    key = _key(secret)
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    identity, timestamp, given = (headers.get(name, "") for name in names)
    if not given:
        _refuse("there is no webhook-signature header; does this webhook have a signing token?")
    signed = b".".join((_bytes(identity), _bytes(timestamp), body))
    digest = hmac.new(key, signed, hashlib.sha256).digest()
    expected = "v1," + base64.b64encode(digest).decode()
    # No short cut: every signature is compared, so that the time tells nothing.
    if not any([_equal(signature, expected) for signature in given.split()]):  # noqa: C419
        _refuse("webhook-signature does not match the body and the signing token")
    if not timestamp.isdecimal() or abs(now - int(timestamp[:18])) > CLOCK_SECONDS:
        _refuse(f"webhook-timestamp is not within {CLOCK_SECONDS} s of this machine's clock")
    return identity


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(SIGNING_TOKEN), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if key:
        return key
    raise Problem(
        404,
        "webhook-not-configured",
        f"{SETTING['gl']} begins like a signing token, but is not one",
        expected="whsec_ and base64, as GitLab shows it",
    )


def _equal(given: str, expected: str) -> bool:
    return hmac.compare_digest(_bytes(given), expected.encode())


def _bytes(header: str) -> bytes:
    """WSGI hands headers over as Latin-1."""
    return header.encode("latin-1", "replace")


def _refuse(detail: str) -> NoReturn:
    headers = {"WWW-Authenticate": "Webhook-Signature"}  # RFC 9110: a 401 names a scheme
    raise Problem(401, "bad-signature", detail, headers=headers)
