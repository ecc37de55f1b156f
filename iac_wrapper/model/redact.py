"""One redactor for every sink (logs, errors, plans, JSON); it does not know where text is from.

Three things are hidden: secret settings, text shaped like a secret, and the values of ``${NAME}``
in `env:` for which `is_masked` holds. Not every such value is a secret: ``production`` or ``8080``
hidden wherever they stand would make output unreadable and guard nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator

from provider.redact import MASK, lines, redact

MIN_MASKED = 8
"""Characters of the shortest value that is masked: what GitLab demands of a masked CI variable, and
NIST SP 800-63B of a password that a person chooses."""

MIN_DISTINCT = 5
"""Different characters it must have: ``========`` is a line in any output."""

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|[0-9]+")
_LONGEST_WORD = 15
"""Characters up to which letters of one case, or digits, are taken for a word or a number: 16 such
letters have the 75 bits that no guessing reaches, and hardly any word has as many."""

UNMASKED = f"shorter than {MIN_MASKED} characters, or a single word or number"
"""What is not masked, in words."""


def is_masked(value: str) -> bool:
    """Whether the value of a variable is hidden in every output, wherever it stands."""
    if len(value) < MIN_MASKED or len(set(value)) < MIN_DISTINCT:
        return False
    return len(value) > _LONGEST_WORD or not _WORD.fullmatch(value)


class Redactor:
    """Replaces known secret values and secret-shaped text by ``[redacted]``.

    Args:
        secrets: literal values to hide; values shorter than 6 characters are ignored, because
            hiding ``a`` everywhere makes output unreadable and hides nothing. Of values that may
            be no secrets give those that `is_masked` names.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        parts = {form for secret in secrets for form in _forms(secret) if len(form) >= 6}
        values = sorted(parts, key=len, reverse=True)
        self._literal = re.compile("|".join(map(re.escape, values))) if values else None

    def __call__(self, text: str) -> str:
        """Return `text` with every secret replaced."""
        if self._literal:
            text = self._literal.sub(MASK, text)
        return redact(text)

    def lines(self) -> Callable[[str], str]:
        """A redactor for the lines of one stream: it remembers that a private key has begun."""
        return lines(self)


def _forms(secret: str) -> Iterator[str]:
    """A secret as outputs show it: whole, line by line in a stream, within JSON, with U+FFFD."""
    lines = [line.strip() for line in secret.splitlines()]
    for text in (secret, *(line for line in lines if line == secret or is_masked(line))):
        shown = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        yield from (text, shown, json.dumps(shown)[1:-1])
        yield json.dumps(shown, ensure_ascii=False)[1:-1]
