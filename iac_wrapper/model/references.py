"""``${NAME}`` in values of `env:`, and the variables of the deploy that they stand for. Pure.

``$${`` is a literal ``${``; any other ``$`` is only itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

WHOLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
"""A value that is one reference and nothing else: group 1 is the variable."""

_PART = re.compile(r"\$\$\{|" + WHOLE.pattern)


def names(value: str) -> tuple[str, ...]:
    """The variables that `value` refers to, each once, in their order."""
    return tuple(dict.fromkeys(match[1] for match in _PART.finditer(value) if match[1]))


def fill(value: str, variables: Mapping[str, str]) -> str:
    """What `value` stands for; raises KeyError for a variable that is not there."""
    return _PART.sub(lambda match: variables[match[1]] if match[1] else "${", value)


def escaped(text: str) -> str:
    """The value that stands for this very text."""
    return text.replace("${", "$${")


def is_bad(value: str) -> bool:
    """Whether there is a ``${`` in it that is neither a reference nor escaped."""
    return "${" in _PART.sub("\0", value)
