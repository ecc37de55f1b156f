"""Secrets out of values that are about to leave as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def scrub(value: Any, redact: Callable[[str], str]) -> Any:
    """`value` with every text in it redacted; mappings become dicts, other sequences lists."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {key: scrub(item, redact) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [scrub(item, redact) for item in value]
    return value
