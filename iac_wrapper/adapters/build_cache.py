"""Our part of the engine's build cache.

BuildKit does not note for whom it made a record. What our Dockerfiles run names our own paths, so a
record of that is ours, and so is what was built on top of it; copies of contexts and what a
Dockerfile of somebody else's runs are not told apart from others', and are left to BuildKit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from iac_wrapper.adapters.engine import Engine

_OWN = ("/opt/iac/", "/run/secrets/env ]; then")
"""Words in the commands of program/templates/Dockerfile.j2 and bootstrap/*.Dockerfile."""


@dataclass(frozen=True)
class CacheRecord:
    """A record of the build cache that nothing uses, and what removing it frees, in bytes."""

    id: str
    size: int


def idle(engine: Engine, *, unused_for: timedelta) -> list[CacheRecord]:
    """Those of ours that no image shares and no build has used for so long, what was built on
    others before these.

    Raises:
        CommandError, EngineError: the engine refused, or does not answer.
    """
    records = engine.call(lambda api: api.df()).get("BuildCache") or []
    since = datetime.now(UTC) - unused_for
    return [
        CacheRecord(record["ID"], record["Size"])
        for record in reversed(_own(records))
        if not record["InUse"] and not record["Shared"] and _used_at(record) < since
    ]


def remove(engine: Engine, record: CacheRecord) -> bool:
    """Remove a record; False if it is in use by now, or others are built on it."""
    wanted = {"id": record.id}
    gone = engine.call(lambda api: api.prune_builds(filters=wanted, all=True))
    return bool(gone.get("CachesDeleted"))


def _own(records: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Our records, each before what was built on it."""
    found = {r["ID"]: r for r in records if any(word in r["Description"] for word in _OWN)}
    news = set(found)
    while news:
        on_top = {r["ID"]: r for r in records if news & _parents(r) and r["ID"] not in found}
        found |= on_top
        news = set(on_top)
    depths: dict[str, int] = {}

    def depth(record: Mapping[str, Any]) -> int:
        name = record["ID"]
        if name not in depths:
            above = [found[parent] for parent in _parents(record) if parent in found]
            depths[name] = 1 + max(map(depth, above), default=0)
        return depths[name]

    return sorted(found.values(), key=depth)


def _parents(record: Mapping[str, Any]) -> set[str]:
    """`Parents` since version 1.42 of the engine's API, `Parent` before."""
    return {*(record.get("Parents") or ()), record.get("Parent") or ""} - {""}


def _used_at(record: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(record.get("LastUsedAt") or record["CreatedAt"])
