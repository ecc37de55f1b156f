"""Why a token leads to nobody. Texts here may be shown and logged: none holds a part of a token."""

from __future__ import annotations


class TokenRefusedError(Exception):
    """The token is not accepted. `reason` is one of our short identifiers, or empty."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason


class NotAllowedError(Exception):
    """The token is good, but no entry of the allow-list is about its user."""


class AuthUnavailableError(Exception):
    """The auth server gave no usable answer: nobody can tell, so nobody is let in."""
