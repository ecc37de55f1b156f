"""What a container uses of the machine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Load:
    """`processors` are used on average, 1.0 is one of them; `memory` and its `limit` are bytes."""

    processors: float
    memory: int
    limit: int
