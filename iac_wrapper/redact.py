"""One redactor for every sink (logs, errors, plans, JSON); it does not know where text is from."""

from __future__ import annotations

import re
from collections.abc import Iterable

MASK = "[redacted]"

_PATTERNS = (
    # A PEM private key, whole.
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.S),
    # Credentials inside a URL: scheme://user:password@host.
    re.compile(r"(?<=://)[^/\s@'\"]+(?=@)"),
    # HTTP authorization headers.
    re.compile(r"(?i)(?<=authorization: )(?:basic|bearer|token)?\s*[^\s'\"]+"),
    # JSON web tokens (Supabase keys are JWTs).
    re.compile(r"\beyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]*"),
    # Tokens of the three hosts and Supabase, by their published prefixes.
    re.compile(r"\b(?:gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|sb_secret_\w{8,})"),
)


class Redactor:
    """Replaces known secret values and secret-shaped text by ``[redacted]``.

    Args:
        secrets: literal values to hide; values shorter than 6 characters are ignored, because
            hiding ``a`` everywhere makes output unreadable and hides nothing.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        values = sorted({s for s in secrets if len(s) >= 6}, key=len, reverse=True)
        self._literal = re.compile("|".join(map(re.escape, values))) if values else None

    def __call__(self, text: str) -> str:
        """Return `text` with every secret replaced."""
        if self._literal:
            text = self._literal.sub(MASK, text)
        for pattern in _PATTERNS:
            text = pattern.sub(MASK, text)
        return text
