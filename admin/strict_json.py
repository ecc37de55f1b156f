"""JSON from strangers: one meaning or none. No I/O."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn


def parse_json(data: bytes) -> Any:
    """The value that `data` is in UTF-8.

    A member that occurs twice is refused, because another parser might take the other value, and so
    is what other parsers do not know: NaN, numbers too large, half a surrogate pair.

    Raises:
        ValueError: it is no such value; the error may hold all of `data`.
        RecursionError: it is too deep.
    """
    value = json.loads(
        data.decode("utf-8"),
        object_pairs_hook=_members,
        parse_constant=_no_constant,
        parse_float=_finite,
    )
    json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair is in no text
    return value


def load_object(data: bytes) -> dict[str, Any] | None:
    """The object that `data` is, else None: an error would carry the whole text."""
    try:
        found = parse_json(data)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is given twice in one object")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number is too large")
    return value
