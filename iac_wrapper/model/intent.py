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
    `offline`: those too, and ask no other machine for a source.
    `lock_path` is where the facts are written; `files` are the lists as they were named, for
    people, and `environment` is the one of theirs that is meant. Services that are not listed may
    go if `prune` is set, or if they are among the `agreed` ones.
    """

    specs: tuple[AppSpec, ...]
    lock_path: Path
    chosen_specs: tuple[AppSpec, ...] = ()
    additive: bool = False
    locked: bool = False
    offline: bool = False
    files: tuple[str, ...] = ()
    environment: str | None = None
    prune: bool = False
    agreed_removals: tuple[str, ...] = ()

    @property
    def list_name(self) -> str:
        """The files, for a sentence."""
        return " and ".join(self.files) or "the list"

    @property
    def arguments(self) -> str:
        """What a command must say to mean the same list: ``--file repos.yaml --env staging``."""
        files = " ".join(f"--file {file}" for file in self.files or ("repos.yaml",))
        return files + (f" --env {self.environment}" if self.environment else "")

    @property
    def named(self) -> frozenset[str]:
        """Services that were named one by one, not as a part of a whole list."""
        specs = self.specs if self.additive else self.chosen_specs
        return frozenset(spec.name for spec in specs)


@dataclass(frozen=True)
class Selection:
    """An intent against what is known: `fresh` apps are resolved (at `pinned`'s commits where it
    has one, without asking another machine if `offline`), `kept` ones stay as locked; `written` is
    the project's lock beside the file;
    `environment` is the one of the file that the project is. `parked` services stay stopped, as
    they are recorded; a `fresh` one of them only becomes what starts next.
    """

    fresh: tuple[AppSpec, ...]
    kept_apps: tuple[ResolvedApp, ...]
    pinned_lock: LockFile | None
    lock_on_disk: LockFile | None
    environment: str | None = None
    offline: bool = False
    parked: tuple[ResolvedApp, ...] = ()
