"""Hides text that is shaped like a secret, wherever it is from. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable

MASK = "[redacted]"

_KEY_BEGIN = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")
_KEY_END = re.compile(r"-----END [A-Z ]*PRIVATE KEY-----")

_REFERENCES = r"(?:\$?\$\{\w+\})+"
"""``${NAME}``, as Terraform's JSON has it, too: it stands in place of a secret and is none."""

_PATTERNS = (
    # A PEM private key, whole; one that has no end, to the end of the text.
    re.compile(_KEY_BEGIN.pattern + rf".*?(?:{_KEY_END.pattern}|\Z)", re.S),
    # A password inside a URL: scheme://user:password@host. A user alone (git@) is no secret…
    re.compile(rf"(?<=://)[^/\s@:'\"]*:(?!{_REFERENCES}@)[^/\s@'\"]+(?=@)"),
    # …but for web URLs, where it is how tokens are written.
    re.compile(
        r"(?:(?<=http://)|(?<=https://))" rf"(?!(?:[^/\s@:'\"]*:)?{_REFERENCES}@)[^/\s@'\"]+(?=@)"
    ),
    # HTTP authorization headers.
    re.compile(
        rf"(?i)(?<=authorization: )(?!(?:(?:basic|bearer|token)\s+)?{_REFERENCES}(?:[\s'\"]|\Z))"
        r"(?:basic|bearer|token)?\s*[^\s'\"]+"
    ),
    # JSON web tokens (Supabase keys are JWTs).
    re.compile(r"\beyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]*"),
    # Tokens of the three hosts and Supabase, by their published prefixes.
    re.compile(r"\b(?:gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|sb_secret_\w{8,})"),
)


def redact(text: str) -> str:
    """`text` with everything in it that is shaped like a secret replaced."""
    for pattern in _PATTERNS:
        text = pattern.sub(MASK, text)
    return text


def lines(hide: Callable[[str], str] = redact) -> Callable[[str], str]:
    """`hide` for the lines of one stream: it remembers that a private key has begun."""
    inside = False

    def line(text: str) -> str:
        nonlocal inside
        if inside:
            end = _KEY_END.search(text)
            if end is None:
                return MASK
            inside, text = False, MASK + text[end.end() :]
        inside = _KEY_BEGIN.search(text) is not None and _KEY_END.search(text) is None
        return hide(text)

    return line
