"""The minor versions of Python that app images can have."""

from __future__ import annotations

from collections.abc import Iterable

SUPPORTED = ("3.14", "3.13", "3.12", "3.11")
"""Those that the runner can be installed for, newest first: it runs on the Python of the app."""


def newest_first(minors: Iterable[str]) -> list[str]:
    """Each of `minors` (``3.11``) once."""
    return sorted({*minors}, key=number, reverse=True)


def number(minor: str) -> tuple[int, ...]:
    """``3.11`` as (3, 11), which sorts as versions do."""
    return tuple(int(part) for part in minor.split("."))
