"""Environment markers as data: parts of them decided in advance, several made one.

Where a package is wanted in several ways, its condition is a set of alternatives, each a set of
markers that all have to hold. What is left is for the installer, which knows the environment.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from packaging.markers import InvalidMarker, Marker

from iac_wrapper.errors import SourceError
from iac_wrapper.program.locks.names import canonical

Condition = frozenset[frozenset[str]]
"""Alternatives; each is a set of markers that all hold."""

ALWAYS: Condition = frozenset({frozenset()})
NEVER: Condition = frozenset()

_MOST = 40
"""Alternatives that are kept; beyond, a package counts as always wanted. Real locks have a few."""


def decided(text: str, extras: Collection[str], groups: Collection[str] = ()) -> Condition:
    """The condition of a marker, its parts on extras and dependency groups decided.

    Args:
        text: a marker of PEP 508, with the variables of PEP 751; empty: always.
        extras: the extras that are wanted.
        groups: the dependency groups that are wanted.

    Raises:
        SourceError: it is not a marker.
    """
    if not text.strip():
        return ALWAYS
    try:
        parsed = Marker(text)
    except (InvalidMarker, RecursionError):
        raise SourceError(
            "not an environment marker",
            found=repr(text),
            expected="""a marker such as sys_platform == "linux\"""",
            next_step="write the lock anew with its tool, and commit it",
        ) from None
    wanted = {
        "extra": {canonical(name) for name in extras},
        "extras": {canonical(name) for name in extras},
        "dependency_groups": {canonical(name) for name in groups},
    }
    return _of_list(parsed._markers, wanted)


def both(one: Condition, other: Condition) -> Condition:
    """Where both hold."""
    return _shortest(a | b for a in one for b in other)


def either(one: Condition, other: Condition) -> Condition:
    """Where one of them holds."""
    return _shortest((*one, *other))


def text(condition: Condition) -> str:
    """The marker that says it, empty if it always holds."""
    if frozenset() in condition:
        return ""
    parts = sorted(" and ".join(sorted(every)) for every in condition)
    return parts[0] if len(parts) == 1 else " or ".join(f"({part})" for part in parts)


def _shortest(alternatives: Iterable[frozenset[str]]) -> Condition:
    """Without those that another one covers."""
    kept: list[frozenset[str]] = []
    for one in sorted(set(alternatives), key=len):
        if not any(shorter <= one for shorter in kept):
            kept.append(one)
    return ALWAYS if len(kept) > _MOST else frozenset(kept)


def _of_list(parts: Any, wanted: dict[str, set[str]]) -> Condition:
    """``and`` binds closer than ``or``."""
    whole, current = NEVER, ALWAYS
    for part in parts:
        if part == "or":
            whole, current = either(whole, current), ALWAYS
        elif part != "and":
            inner = _of_list(part, wanted) if isinstance(part, list) else _of_one(part, wanted)
            current = both(current, inner)
    return either(whole, current)


def _of_one(part: Any, wanted: dict[str, set[str]]) -> Condition:
    left, operator, right = part
    for variable, value in ((left, right), (right, left)):
        if variable.value in wanted and type(variable).__name__ == "Variable":
            holds = canonical(value.value) in wanted[variable.value]
            positive = operator.value in {"==", "in"}
            return ALWAYS if holds == positive else NEVER
    return frozenset(
        {frozenset({f"{left.serialize()} {operator.serialize()} {right.serialize()}"})}
    )
