"""Take out of the source cache what nobody has used for long, or what is too much for it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from iac_wrapper.sources.source_cache import LOCAL, STAGING, discard
from iac_wrapper.sources.survey import tree_size

IN_USE = 3600.0
"""Seconds after its last use in which a tree stays in any case: a build may be reading it."""


@dataclass(frozen=True)
class _Cached:
    path: Path
    used: float

    @property
    def name(self) -> str:
        """What a lock calls it: the SHA of a commit, or the beginning of a tree's hash."""
        name = self.path.name
        return name.removeprefix(LOCAL) if name.startswith(LOCAL) else name.split("-")[1]


def prune(
    cache: Path, *, max_age: float, max_bytes: int, kept: Callable[[], Collection[str]]
) -> list[Path]:
    """Remove what is `surplus`; return it."""
    gone = surplus(cache, max_age=max_age, max_bytes=max_bytes, kept=kept)
    for path in gone:
        discard(path)
    return gone


def surplus(
    cache: Path, *, max_age: float, max_bytes: int, kept: Callable[[], Collection[str]]
) -> list[Path]:
    """What is older than `max_age`, then what was used longest ago beyond `max_bytes`.

    Args:
        cache: its folder.
        max_age: seconds since the last use.
        max_bytes: of all trees together.
        kept: commits in full, and first digits of the hashes of local trees, that stay in any case;
            asked only if something would go.
    """
    now = time.time()
    found = sorted(_cached(cache), key=lambda one: one.used)
    free = [one for one in found if now - one.used > IN_USE]
    if not free:
        return []
    sizes = {one: tree_size(one.path) for one in found}
    total = sum(sizes.values())
    names: Collection[str] | None = None
    gone = []
    for one in free:
        if now - one.used <= max_age and total <= max_bytes:
            break
        names = kept() if names is None else names
        if one.name not in names:
            total -= sizes[one]
            gone.append(one.path)
    return gone


def _cached(cache: Path) -> list[_Cached]:
    found = []
    for path in cache.glob("*-*"):
        with contextlib.suppress(OSError):
            if not path.name.startswith(STAGING):
                found.append(_Cached(path, path.stat().st_mtime))
    return found
