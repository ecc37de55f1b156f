"""The way to an ACME server: whom it trusts, what is tried again, how long to wait."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import requests
from acme import messages
from acme.client import ClientNetwork
from josepy.jwa import ES256
from josepy.jwk import JWK

T = TypeVar("T")

_NONCES = 10
"""How often a request is sent, each time with another nonce. The library sends it twice; a server
refuses nonces that it has forgotten, and a client tries again (RFC 8555, 6.5)."""

_TIMEOUT = 30
"""Seconds between two bytes."""

_LONGEST_PAUSE = 5.0
"""Seconds between two looks at an order, where the server names none."""


class Network(ClientNetwork):
    """Signs and sends requests; a refusal carries `until`, when the server may be asked again.

    Args:
        key: the account's.
        trust: a PEM bundle; empty for what the system (SSL_CERT_FILE) trusts.
    """

    def __init__(self, key: JWK, trust: str) -> None:
        paths = ssl.get_default_verify_paths()
        verify: Any = trust or paths.cafile or paths.capath or True  # requests takes paths, too
        super().__init__(key, alg=ES256, verify_ssl=verify, user_agent="karstkit", timeout=_TIMEOUT)
        self._until: datetime | None = None
        self.session.hooks["response"].append(self._note)

    def post(self, *args: Any, **kwargs: Any) -> requests.Response:
        """As the library's, with more patience for nonces."""
        for attempt in range(_NONCES):
            try:
                return super().post(*args, **kwargs)
            except messages.Error as error:
                if error.code != "badNonce" or attempt == _NONCES - 1:
                    error.until = self._until
                    raise
        raise AssertionError("unreachable")

    def _note(self, response: requests.Response, **_: object) -> None:
        self._until = retry_after(response)


def retry_after(response: requests.Response) -> datetime | None:
    """What the header Retry-After says (RFC 9110, 10.2.3: seconds or a date), in UTC."""
    said = response.headers.get("Retry-After", "").strip()
    if said.isdecimal():
        return datetime.now(UTC) + timedelta(seconds=min(int(said), 10**7))
    try:
        return parsedate_to_datetime(said).astimezone(UTC)
    except ValueError:
        return None


def wait_for(
    look: Callable[[], tuple[T, requests.Response]], done: Callable[[T], bool], patience: float
) -> T:
    """Look until it is done, or for `patience` seconds; the last that was seen.

    The server says when to look again; where it does not, pauses grow.
    """
    end, pause = time.monotonic() + patience, 0.2
    while True:
        seen, response = look()
        left = end - time.monotonic()
        if done(seen) or left <= 0:
            return seen
        until = retry_after(response)
        asked = (until - datetime.now(UTC)).total_seconds() if until else pause
        time.sleep(min(max(asked, 0.1), left))
        pause = min(pause * 2, _LONGEST_PAUSE)
