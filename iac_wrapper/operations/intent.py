"""From what a person typed to an `Intent`: a file, some of its entries, or slugs alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from iac_wrapper import lock_file, repos_file
from iac_wrapper.errors import ConfigError
from iac_wrapper.lock_file import LockFile
from iac_wrapper.model.app import AppSpec, ResolvedApp
from iac_wrapper.operations.deploy import Intent
from iac_wrapper.operations.workspace import Workspace


def from_file(path: Path, *, chosen: Sequence[str] = (), locked: bool = False) -> Intent:
    """All entries of a repos file; with `chosen` (slugs or names), only those are resolved anew.

    Raises:
        ConfigError: the file is bad, or `chosen` names what is not in it.
    """
    specs = repos_file.load(path)
    lock_path = lock_file.default_lock_path(path)
    previous = lock_file.load(lock_path) if locked or (chosen and lock_path.exists()) else None
    wanted = [spec for spec in specs if not chosen or _matches(spec, chosen)]
    for text in chosen:
        if not any(_matches(spec, [text]) for spec in specs):
            raise ConfigError(
                f"{text} is not in the file",
                where=str(path),
                expected=", ".join(spec.name for spec in specs),
                next_step=f"add it to {path.name}, or leave --file out to add it to the project",
            )
    kept, missing = _keep(specs, wanted, previous)
    return Intent(
        specs=[*wanted, *missing],
        base_dir=path.absolute().parent,
        lock_path=lock_path.absolute(),
        kept=kept,
        pinned=previous if locked else None,
    )


def from_slugs(
    workspace: Workspace, slugs: Sequence[str], *, cwd: Path, locked: bool = False
) -> Intent:
    """Slugs added to what the project runs; one with a known name replaces that service."""
    specs = repos_file.from_slugs(list(slugs))
    applied = workspace.applied()
    names = {spec.name for spec in specs}
    kept = [app for app in applied.apps if app.name not in names] if applied else []
    return Intent(
        specs=specs,
        base_dir=cwd,
        lock_path=workspace.directory / "slugs.lock.json",
        kept=kept,
        pinned=applied if locked else None,
    )


def _matches(spec: AppSpec, chosen: Sequence[str]) -> bool:
    return spec.name in chosen or spec.slug.text in chosen


def _keep(
    specs: Sequence[AppSpec], wanted: Sequence[AppSpec], previous: LockFile | None
) -> tuple[list[ResolvedApp], list[AppSpec]]:
    """Entries that are not wanted now: locked ones are kept, the others must be resolved too."""
    locked = {app.name: app for app in previous.apps} if previous else {}
    others = [spec for spec in specs if spec not in wanted]
    kept = [locked[spec.name] for spec in others if spec.name in locked]
    return kept, [spec for spec in others if spec.name not in locked]
