"""What a person wants of a project, alone (`Intent`) and against what is known (`Selection`)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from iac_wrapper.model.app import AppSpec, ResolvedApp
from iac_wrapper.model.lock import LockFile


@dataclass(frozen=True)
class Intent:
    """What a person wants deployed, before anything is looked up.

    `specs` are entries of a file, or slugs; `chosen` those of them to bring up to date (all if
    empty). `additive`: what the project runs besides stays. `locked`: take the lock's commits.
    `lock_path` is where the facts are written; local paths are relative to `base_dir`; `file` is
    the list as it was named, for people. Services that are not listed may go if `prune` is set, or
    if they are among the `agreed` ones.
    """

    specs: tuple[AppSpec, ...]
    base_dir: Path
    lock_path: Path
    chosen: tuple[AppSpec, ...] = ()
    additive: bool = False
    locked: bool = False
    file: str = ""
    prune: bool = False
    agreed: tuple[str, ...] = ()

    @property
    def named(self) -> frozenset[str]:
        """Services that were named one by one, not as a part of a whole list."""
        specs = self.specs if self.additive else self.chosen
        return frozenset(spec.name for spec in specs)


@dataclass(frozen=True)
class Selection:
    """An intent against what is known: `fresh` apps are resolved (at `pinned`'s commits where it
    has one), `kept` ones stay as locked; `written` is the project's lock beside the file.
    """

    fresh: tuple[AppSpec, ...]
    kept: tuple[ResolvedApp, ...]
    pinned: LockFile | None
    written: LockFile | None
