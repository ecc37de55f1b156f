"""A command that is given as a list of words, as one line. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence


def joined(words: Sequence[str]) -> str | None:
    """The line that means these very words, in which only ``$PORT`` is filled in; None for less
    than two: one word alone is a module or a path."""
    return " ".join(map(_quoted, words)) if len(words) > 1 else None


def _quoted(word: str) -> str:
    parts = re.split(r"(\$PORT\b|\$\{PORT\})", word)
    texts = (part if at % 2 else shlex.quote(part) for at, part in enumerate(parts) if part)
    return "".join(texts) or "''"
