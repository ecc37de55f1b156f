"""Lines that only Python 2 can read, or only a newer Python than the one that reads them here."""

from __future__ import annotations

import re

_SAID = re.compile(r"Missing parentheses in call to '(print|exec)'|leading zeros in decimal")
"""What Python 3 says of the statements that only Python 2 had."""

_WRITTEN = re.compile(
    r"""
    \b[uU][rR]["']                             # ur"text"
    |^\s*except\s+[\w.()\s,]+,\s*\w+\s*:       # except Error, error:
    |^\s*raise\s+[\w.]+\s*,                    # raise Error, "text"
    |`[\w.]+`                                  # `value`
    |[\w)\]]\s*<>\s*[\w(\[]                    # a <> b
    |\b(0x[0-9a-fA-F]+|\d+)L\b                 # 10L
    """,
    re.X,
)
"""The same, where Python 3 only says that it is invalid."""

_NEW = re.compile(r"^\s*except\s+(?:[\w.]+\s*,\s*)+(?:[\w.]+\.)?_*[A-Z]\w*\s*:")
"""``except KeyError, ValueError:`` names classes alone (PEP 758); Python 2 bound the last name."""

_MARK = "as Python 2 has it"
_NEW_MARK = "as Python 3.14 has it"


def explained(error: SyntaxError) -> str:
    """What Python says of a line, and whether it is one of Python 2, or of Python 3.14."""
    text = error.text or ""
    if _NEW.search(text):
        return f"{error.msg} ({_NEW_MARK})"
    is_old = _SAID.search(error.msg) or _WRITTEN.search(text)
    return f"{error.msg} ({_MARK})" if is_old else error.msg


def is_old(explanation: str) -> bool:
    """Whether `explained` said so."""
    return _MARK in explanation
