"""JSON objects from strangers: one meaning or none. No I/O."""

from __future__ import annotations

import json
from typing import Any


def load_object(data: bytes) -> dict[str, Any] | None:
    """The object that `data` is in UTF-8, else None.

    A member that occurs twice is nothing, too: another parser might take the other value. None
    instead of an error, because the errors of `json` carry the whole text.
    """
    try:
        found = json.loads(
            data.decode("utf-8"), object_pairs_hook=_members, parse_constant=_no_constant
        )
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a member occurs twice")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
