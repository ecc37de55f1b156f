"""TOML as the tools write it that a lock comes from: also 1.1, which `tomllib` is too old for."""

from __future__ import annotations

import re
import tomllib
from typing import Any

_TOKENS = re.compile(
    r'"""(?:\\.|[^\\])*?(?:"""|\Z)|\'\'\'.*?(?:\'\'\'|\Z)|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\''
    r"|\#[^\n]*|[^\"'#{}\[\],\n]+|.",
    re.S,
)
"""Strings, comments, runs of what means nothing here, and single characters."""


def loads(text: str) -> dict[str, Any]:
    """`text` as a dictionary.

    TOML 1.1 lets an inline table go over several lines, with comments and a last comma; new
    versions of uv write such lock files.

    Raises:
        tomllib.TOMLDecodeError: it is no TOML.
        ValueError, RecursionError: too long a number, too deep a table.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        if (on_one_line := _joined(text)) == text:
            raise
    return tomllib.loads(on_one_line)


def _joined(text: str) -> str:
    """The same with each inline table on one line; as it is, if that cannot be told."""
    parts: list[str] = []
    brackets: list[str] = []
    for part in _TOKENS.findall(text):
        if part in ("{", "["):
            brackets.append(part)
        elif part in ("}", "]"):
            if part == "}":
                _drop_last_comma(parts)
            del brackets[-1:]
        elif part in ("'", '"'):
            return text  # a string without an end
        elif "{" in brackets and (part == "\n" or part.startswith("#")):
            continue
        parts.append(part)
    return "".join(parts)


def _drop_last_comma(parts: list[str]) -> None:
    while parts and not parts[-1].strip():
        parts.pop()
    if parts and parts[-1] == ",":
        parts.pop()
