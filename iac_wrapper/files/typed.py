"""Values from JSON that somebody may have edited, held to the types that their class declares."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def checked(made: T) -> T:
    """`made`, an object of a dataclass, if each of its fields is of the type that it declares.

    Raises:
        TypeError: one is not; the text names it.
    """
    kind: Any = type(made)
    for name, hint in _hints(kind).items():
        value = getattr(made, name)
        if not _fits(value, hint):
            raise TypeError(f"{name} is {repr(value)[:60]}")
    return made


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _fits(value: object, hint: Any) -> bool:
    form, inner = get_origin(hint), get_args(hint)
    if form in {Union, UnionType}:
        return any(_fits(value, one) for one in inner)
    if form is Literal:
        return isinstance(value, str) and value in inner
    if form is tuple:
        return isinstance(value, list | tuple) and all(_fits(one, inner[0]) for one in value)
    if form is Mapping:
        pairs = value.items() if isinstance(value, dict) else [(None, None)]
        return all(_fits(key, inner[0]) and _fits(one, inner[1]) for key, one in pairs)
    if hint is int or hint is float:
        return isinstance(value, int | hint) and not isinstance(value, bool)
    return isinstance(value, hint)
