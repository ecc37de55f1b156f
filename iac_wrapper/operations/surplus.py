"""What is left of builds and commands and nothing needs: found by kind, and removed.

What is deployed, what can be gone back to, data, keys and the ledger are no part of it, nor what is
another project's.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Literal

from iac_wrapper.adapters import build_cache, capacity, engine_changes
from iac_wrapper.errors import ConfigError
from iac_wrapper.files import file_lock, lock_file
from iac_wrapper.operations import (
    candidates,
    images,
    kept_logs,
    recording,
    releases,
    run_folder,
    source_pruning,
)
from iac_wrapper.operations.workspace import Workspace
from iac_wrapper.sources.source_cache import discard
from iac_wrapper.sources.survey import tree_size

Kind = Literal[
    "images", "build cache", "candidates", "build contexts", "sources", "runs", "logs", "jobs"
]

CACHE_UNUSED = timedelta(hours=1)
"""What a build has used since may be wanted by one that is at work now: of any project."""


@dataclass(frozen=True)
class Surplus:
    """Something that may go, of `size` bytes; `remove` says whether it went."""

    kind: Kind
    name: str
    size: int
    remove: Callable[[], bool]


@dataclass(frozen=True)
class Pruned:
    """What went, or would go, and the free bytes of each disk before and after, by a folder on
    it."""

    found: Sequence[Surplus]
    before: Mapping[str, int]
    after: Mapping[str, int]

    def kinds(self) -> dict[Kind, tuple[int, int]]:
        """By kind how many and how many bytes, in the order of `found`."""
        counts = Counter(each.kind for each in self.found)
        sizes: Counter[Kind] = Counter()
        for each in self.found:
            sizes[each.kind] += each.size
        return {kind: (count, sizes[kind]) for kind, count in counts.items()}

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "kinds": [
                {"kind": kind, "count": count, "bytes": size}
                for kind, (count, size) in self.kinds().items()
            ],
            "items": [{"kind": s.kind, "name": s.name, "bytes": s.size} for s in self.found],
            "disks": [
                {"path": path, "free_before": free, "free_after": self.after[path]}
                for path, free in self.before.items()
            ],
        }


def look(workspace: Workspace) -> Pruned:
    """What `prune` would remove; nothing changes."""
    free = _free(workspace)
    with _no_server(workspace) as alone:
        return Pruned(list(_found(workspace, jobs=alone)), free, free)


def prune(workspace: Workspace) -> Pruned:
    """Remove it, while the project is held.

    Raises:
        BusyError: a command is at work on the project.
        CommandError, EngineError: the engine refused, or does not answer.
    """
    with workspace.hold("iac prune"), _no_server(workspace) as alone:
        before = _free(workspace)
        gone = [each for each in _found(workspace, jobs=alone) if each.remove()]
        done = Pruned(gone, before, _free(workspace))
        recording.note(workspace, "prune", list(_sentences(done)))
    return done


def _sentences(done: Pruned) -> Iterator[str]:
    for kind, (count, size) in done.kinds().items():
        names = [each.name for each in done.found if each.kind == kind]
        which = f": {', '.join(names)}" if kind == "images" else ""
        yield f"{count} {kind}, {size} bytes{which}"


def _found(workspace: Workspace, *, jobs: bool) -> Iterator[Surplus]:
    yield from _candidates(workspace)
    yield from _images(workspace)
    yield from _build_cache(workspace)
    for path in _contexts(workspace):
        yield _folder("build contexts", path)
    for path in source_pruning.surplus(workspace):
        yield _folder("sources", path)
    for record in run_folder.surplus(workspace):
        yield _folder("runs", run_folder.folder(workspace, record.id).path)
    for path in _logs(workspace):
        yield _file("logs", path)
    for path in _jobs(workspace) if jobs else ():
        yield _folder("jobs", path)


def _candidates(workspace: Workspace) -> Iterator[Surplus]:
    """What a rollout that was killed left, as long as it has no traffic."""

    def remove(service: str) -> bool:
        candidates.discard(workspace, [service])
        return True

    for service, pair in candidates.pairs(workspace).items():
        if not pair.live:
            yield Surplus("candidates", service, 0, partial(remove, service))


def _images(workspace: Workspace) -> Iterator[Surplus]:
    engine = workspace.engine
    for row in images.idle(workspace):
        name, size = row.image.name, row.image.size
        yield Surplus("images", name, size, partial(engine_changes.remove_image, engine, name))


def _build_cache(workspace: Workspace) -> Iterator[Surplus]:
    engine = workspace.engine
    for record in build_cache.idle(engine, unused_for=CACHE_UNUSED):
        act = partial(build_cache.remove, engine, record)
        yield Surplus("build cache", record.id, record.size, act)


def _contexts(workspace: Workspace) -> Iterator[Path]:
    """Build contexts but those of what is deployed, locked or can be gone back to: Terraform reads
    them where it makes an image's resource anew."""
    layout, project = workspace.layout, workspace.project
    try:
        known = releases.load_releases(workspace)
        written = [lock_file.load_lock(path) for path in layout.root.glob("*.lock.json")]
        applied = workspace.applied_lock()
    except ConfigError:  # what cannot be read may name anything
        return
    locks = [lock for lock in (applied, *written) if lock and lock.project == project]
    apps = [app for lock in locks for app in lock.all_apps]
    apps += [release.app for proven in known.good.values() for release in proven]
    apps += [unstarted.app for unstarted in known.unstarted.values()]
    needed = {layout.context(project, app.image) for app in apps}
    yield from sorted(set(layout.contexts(project).glob("*")) - needed)


def _logs(workspace: Workspace) -> Iterator[Path]:
    """Logs of Terraform, of builds and of the keeper, and of versions that are gone."""
    folders = [workspace.directory / "log"]
    folders += [
        workspace.layout.kept_log(workspace.project, kind, "x").parent for kind in kept_logs.KINDS
    ]
    yield from (path for folder in folders for path in sorted(folder.glob("*")) if path.is_file())


def _jobs(workspace: Workspace) -> Iterator[Path]:
    """Folders of the admin API's jobs for the project that have ended."""
    for path in sorted(workspace.layout.jobs.glob("*/job.json")):
        try:
            job = json.loads(path.read_text(encoding="utf-8"))
            ended = job["finished_at"] and job["request"]["project"] == workspace.project
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if ended:
            yield path.parent


@contextmanager
def _no_server(workspace: Workspace) -> Iterator[bool]:
    """Whether no server of the admin API is at work in this folder, nor starts during the block: it
    has its jobs in memory, and keeps their number small by itself."""
    folder = workspace.layout.jobs
    if not folder.is_dir():
        yield False
        return
    fd = file_lock.acquire(folder / "server.lock")
    try:
        yield fd is not None
    finally:
        if fd is not None:
            file_lock.release(fd)


def _folder(kind: Kind, path: Path) -> Surplus:
    def act() -> bool:
        if kind == "sources":  # other projects of the folder read them without its lock
            discard(path)
        else:
            shutil.rmtree(path, ignore_errors=True)
        return not path.exists()

    return Surplus(kind, path.name, tree_size(path), act)


def _file(kind: Kind, path: Path) -> Surplus:
    def act() -> bool:
        path.unlink(missing_ok=True)
        return True

    return Surplus(kind, path.name, path.stat().st_size, act)


def _free(workspace: Workspace) -> dict[str, int]:
    """Free bytes of the disk with the project folder, and of the engine's where it is another."""
    folders = [workspace.layout.root]
    if workspace.engine_is_local:
        folders.append(capacity.engine_root(workspace.engine))
    found: dict[int, tuple[str, int]] = {}
    for folder in folders:
        if (free := capacity.bytes_left(folder)) is not None:
            found.setdefault(folder.stat().st_dev, (str(folder), free))
    return dict(found.values())
