"""Which commits the cache keeps: those that a lock or a proven version is made from."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from iac_wrapper.adapters import state
from iac_wrapper.errors import ConfigError
from iac_wrapper.files import lock_file
from iac_wrapper.model.app import Checkout, ResolvedApp
from iac_wrapper.model.lock import LockFile
from iac_wrapper.operations import releases
from iac_wrapper.operations.workspace import Workspace
from iac_wrapper.sources import cache_pruning


def prune(
    workspace: Workspace, checkouts: Iterable[Checkout], written: LockFile | None
) -> list[Path]:
    """Prune the source cache; what cannot be read may name anything, so then nothing goes.

    Args:
        workspace: the project; the cache is shared by all projects of its folder.
        checkouts: what is being deployed.
        written: the lock beside the repos file, which may lie in any folder.

    Returns:
        What is gone.
    """

    def kept() -> Collection[str]:
        apps = [*_known(workspace), *(written.all_apps if written else ())]
        return _names([*apps, *checkouts])

    settings = workspace.settings
    try:
        return cache_pruning.prune(
            workspace.layout.cache,
            max_age=settings.cache_age,
            max_bytes=settings.cache_max_bytes,
            kept=kept,
        )
    except ConfigError:
        return []


def surplus(workspace: Workspace) -> list[Path]:
    """All that no lock or proven version needs and nobody used just now."""
    try:
        return cache_pruning.surplus(
            workspace.layout.cache, max_age=0, max_bytes=0, kept=lambda: _names(_known(workspace))
        )
    except ConfigError:
        return []


def _names(sources: Iterable[ResolvedApp | Checkout]) -> set[str]:
    """What the cache calls them."""
    return {one.commit or one.tree.removeprefix("sha256:")[:40] for one in sources}


def _known(workspace: Workspace) -> Iterator[ResolvedApp]:
    """Every service of every lock and record in the project folder."""
    layout = workspace.layout
    paths = [*layout.root.glob("*.lock.json"), *layout.data.glob("projects/*/*.lock.json")]
    for path in paths:
        yield from lock_file.load_lock(path).all_apps
    for project in state.projects(layout):
        applied = state.applied_lock(layout.state(project))
        yield from applied.all_apps if applied else ()
        known = releases.load_releases(replace(workspace, project=project))
        yield from (one.app for proven in known.good.values() for one in proven)
