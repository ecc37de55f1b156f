"""One redactor for every sink (logs, errors, plans, JSON); it does not know where text is from."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

MASK = "[redacted]"

_KEY_BEGIN = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")
_KEY_END = re.compile(r"-----END [A-Z ]*PRIVATE KEY-----")

_PATTERNS = (
    # A PEM private key, whole; one that has no end, to the end of the text.
    re.compile(_KEY_BEGIN.pattern + rf".*?(?:{_KEY_END.pattern}|\Z)", re.S),
    # A password inside a URL: scheme://user:password@host. A user alone (git@) is no secret…
    re.compile(r"(?<=://)[^/\s@:'\"]*:[^/\s@'\"]+(?=@)"),
    # …but for web URLs, where it is how tokens are written.
    re.compile(r"(?:(?<=http://)|(?<=https://))[^/\s@'\"]+(?=@)"),
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
        # A secret of several lines is met line by line in a stream.
        parts = {line for s in secrets for line in (s, *s.splitlines()) if len(line) >= 6}
        values = sorted(parts, key=len, reverse=True)
        self._literal = re.compile("|".join(map(re.escape, values))) if values else None

    def __call__(self, text: str) -> str:
        """Return `text` with every secret replaced."""
        if self._literal:
            text = self._literal.sub(MASK, text)
        for pattern in _PATTERNS:
            text = pattern.sub(MASK, text)
        return text

    def lines(self) -> Callable[[str], str]:
        """A redactor for the lines of one stream: it remembers that a private key has begun."""
        inside = False

        def line(text: str) -> str:
            nonlocal inside
            if inside:
                end = _KEY_END.search(text)
                if end is None:
                    return MASK
                inside, text = False, MASK + text[end.end() :]
            inside = _KEY_BEGIN.search(text) is not None and _KEY_END.search(text) is None
            return self(text)

        return line
