"""A message of Standard Webhooks (standard-webhooks.com), signed. Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

PREFIX = "whsec_"
"""What a secret begins with; base64 of its bytes follows."""

FEWEST_BYTES, MOST_BYTES = 24, 64
"""Of a secret (the specification's "Signature scheme")."""


def key_of(secret: str) -> bytes | None:
    """The bytes of a secret as it is written; None if it is none."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return None
    is_one = secret.startswith(PREFIX) and FEWEST_BYTES <= len(key) <= MOST_BYTES
    return key if is_one else None


def headers(key: bytes, identity: str, seconds: int, body: bytes) -> dict[str, str]:
    """What a receiver knows the sender by.

    Args:
        key: the bytes of the secret that both have.
        identity: of the message, the same each time that it is sent.
        seconds: since 1970, when it is sent.
        body: the message.
    """
    signed = f"{identity}.{seconds}.".encode() + body
    digest = hmac.digest(key, signed, hashlib.sha256)
    return {
        "webhook-id": identity,
        "webhook-timestamp": str(seconds),
        "webhook-signature": "v1," + base64.b64encode(digest).decode(),
    }
