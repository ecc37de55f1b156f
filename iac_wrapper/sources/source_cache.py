"""Fetched sources on disk, keyed by what they are.

``<cache>/<key>/tree`` holds the files and ``<cache>/<key>/source.json`` what they must hash to;
``subject`` beside them is the first line of the commit's message. A directory gets its name by one
rename when it is complete, so any number of processes may share a cache; the loser of a race takes
the winner's tree. Nobody is kept from writing to a tree: it is hashed again before each use
instead. It must not know refs or repos.yaml.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from iac_wrapper.errors import SourceError
from iac_wrapper.model.omission import Omission, below
from iac_wrapper.sources import submodules, working_tree
from iac_wrapper.sources.commit_tree import Commit, Listing, obtain, submodules_of
from iac_wrapper.sources.git import SUBJECT
from iac_wrapper.sources.local_tree import read_local
from iac_wrapper.sources.submodules import MAX_DEPTH, SubmoduleRules
from iac_wrapper.sources.survey import survey
from iac_wrapper.sources.tree import leaving_links, tree_hash
from iac_wrapper.sources.unpack import SourceLimits

Method = Literal["archive", "clone", "local"]

STALE_AFTER = 24 * 3600.0
"""Seconds after which the work directory of a process that died is removed."""

SNAPSHOT_KEPT = 7 * 24 * 3600.0
"""Seconds without use after which the copy of a local directory is removed: each edit makes one."""

STAGING = ".tmp-"
"""How the name of work under way begins."""

LOCAL = "local-"
"""How that of a copy of a local directory begins; 40 digits of its tree's hash follow."""

_FORMAT = 2
"""Of the record beside a tree. Trees of format 1 lack what the host's archive left out."""


@dataclass(frozen=True)
class CachedTree:
    """A complete tree: `tree` is its hash, `method` how it came, `omissions` what it lacks."""

    path: Path
    tree: str
    method: Method
    omissions: tuple[Omission, ...] = ()

    def part(self, folder: Path) -> CachedTree:
        """A folder in it as a source of its own: links that leave the folder are left out."""
        here = folder.resolve().relative_to(self.path.resolve()).as_posix()
        omissions = {*below(self.omissions, here), *leaving_links(folder)}
        return replace(
            self, path=folder, tree=tree_hash(folder), omissions=tuple(sorted(omissions))
        )


@dataclass(frozen=True)
class SourceCache:
    """The cache in `folder` (made if missing).

    `limits` are the caps of an unpacked tree; `progress` is told why an archive was not used, or
    that a cached tree was altered; `rules` say where submodules may come from. With `offline`
    nothing is asked of another machine.
    """

    folder: Path
    limits: SourceLimits
    progress: Callable[[str], None]
    rules: SubmoduleRules = field(default_factory=SubmoduleRules)
    offline: bool = False

    def fetch(self, commit: Commit, depth: int = 0) -> CachedTree:
        """The tree of a commit: the cached one if it is unaltered, else by archive, else by git.

        Args:
            commit: which one, and with what.
            depth: how many repositories it is a submodule of.

        Raises:
            SourceError: neither way gives the commit, or what came is refused.
        """
        final = self.folder / commit.key
        if cached := _lookup(final, self.progress):
            _note_use(final)
            return cached
        if self.offline and not commit.remote.is_here:
            raise _not_cached(commit)
        with _staging(self.folder) as staging:
            came = obtain(commit, staging, self.limits, self.progress)
            tree, links = staging / "tree", came.links
            if commit.submodules:
                links = (*links, *self._add_submodules(commit, came.listing, staging, depth))
                links = tuple(one for one in links if not _mended(one, tree))
            if commit.lfs:
                from iac_wrapper.sources import lfs

                lfs.fill(tree, commit.remote, self.limits, staging, self.progress)
            omissions = survey(tree, links, working_tree.submodule_urls(tree))
            return _publish(
                staging, CachedTree(final / "tree", tree_hash(tree), came.method, omissions)
            )

    def snapshot(self, source: Path) -> CachedTree:
        """A copy of a local directory that later edits do not reach, keyed by its content.

        A new one makes old ones go.

        Raises:
            SourceError: as `read_local`.
        """
        local = read_local(source, self.limits)
        final = self._of_local(local.tree)
        if cached := _lookup(final, self.progress):
            _note_use(final)
            return replace(cached, omissions=local.omissions)
        with _staging(self.folder) as staging:
            local.copy(staging / "tree")
            tree = tree_hash(staging / "tree")  # of what was copied: a file may have changed since
            path = self._of_local(tree) / "tree"
            made = _publish(staging, CachedTree(path, tree, "local", local.omissions))
        _remove_unused(self.folder)
        return made

    def _of_local(self, tree: str) -> Path:
        return self.folder / f"{LOCAL}{tree.removeprefix('sha256:')[:40]}"

    def _add_submodules(
        self, commit: Commit, listing: Listing | None, staging: Path, depth: int
    ) -> tuple[Omission, ...]:
        """Put the submodules of a commit into its tree; returns what they lack."""
        tree = staging / "tree"
        urls = working_tree.written_urls(tree)
        if not urls:
            return ()
        if depth >= MAX_DEPTH:
            raise SourceError(
                "submodules are nested too deep",
                found=f"more than {MAX_DEPTH} within each other, at {commit.remote.url}",
                next_step="write `submodules: false`",
            )
        modules = submodules_of(commit, listing, staging, self.progress)

        def fetch(url: str, sha: str) -> tuple[Path, tuple[Omission, ...]]:
            remote = self.rules.remote(commit.remote, url)
            made = self.fetch(Commit(remote, sha, None, commit.lfs, submodules=True), depth + 1)
            return made.path, made.omissions

        return submodules.fill(tree, modules, urls, fetch, self.limits)


def subject_of(cache: Path, sha: str) -> str | None:
    """The first line of a commit's message; None if the commit is not in the cache (any more)."""
    for path in cache.glob(f"*-{sha}*/{SUBJECT}"):
        with contextlib.suppress(OSError, UnicodeError):
            return path.read_text(encoding="utf-8").strip()
    return None


def _mended(one: Omission, tree: Path) -> bool:
    """Whether a link that pointed nowhere points at something since the submodules are there."""
    return one.kind == "dangling" and (tree / one.path).exists()


def _not_cached(commit: Commit) -> SourceError:
    return SourceError(
        "the source is not in the cache of this folder, and nothing is fetched",
        found=f"commit {commit.sha[:12]} of {commit.remote.url}",
        expected="with --offline, a commit that was fetched before",
        next_step="run the command once without --offline",
    )


def _note_use(final: Path) -> None:
    """What was used last goes last, see `cache_pruning`."""
    with contextlib.suppress(OSError):
        final.touch()


def _lookup(final: Path, progress: Callable[[str], None]) -> CachedTree | None:
    """A cached tree that still hashes to what was recorded; any other is thrown away."""
    try:
        record = json.loads((final / "source.json").read_text(encoding="utf-8"))
        if record.get("format") == _FORMAT:
            omissions = tuple(Omission(*one) for one in record["omissions"])
            cached = CachedTree(final / "tree", str(record["tree"]), record["method"], omissions)
            if tree_hash(cached.path) == cached.tree:
                return cached
        elif "format" not in record and record.get("tree"):
            discard(final)  # of an earlier version
            return None
    except FileNotFoundError:
        if not final.exists():
            return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SourceError):
        pass  # unreadable is altered too
    progress(f"{final.name}: the cached source was altered; fetching it again")
    discard(final)
    return None


def discard(final: Path) -> None:
    """Take the name away first, in one step: nobody must see a tree that is being removed."""
    away = Path(tempfile.mkdtemp(prefix=STAGING, dir=final.parent))
    with contextlib.suppress(FileNotFoundError):  # another process was quicker
        final.rename(away / "altered")
    shutil.rmtree(away, ignore_errors=True)


def _publish(staging: Path, made: CachedTree) -> CachedTree:
    """Give the tree in `staging` the place that `made` names; the winner's, if one was quicker."""
    final = made.path.parent
    omissions = [(one.kind, one.path, one.detail) for one in made.omissions]
    record = {"format": _FORMAT, "tree": made.tree, "method": made.method, "omissions": omissions}
    (staging / "source.json").write_text(json.dumps(record) + "\n", encoding="utf-8")
    try:
        staging.rename(final)
    except OSError:
        winner = _lookup(final, lambda _: None)
        if winner is None:
            raise SourceError(
                "the source cache cannot be written",
                found=str(final),
                next_step=f"remove {final}, then run the command again",
                retryable=True,
            ) from None
        return winner
    return made


@contextmanager
def _staging(cache: Path) -> Iterator[Path]:
    """A work directory on the cache's own file system, gone at the end unless it was published."""
    cache.mkdir(parents=True, exist_ok=True)
    _remove_stale(cache)
    folder = Path(tempfile.mkdtemp(prefix=STAGING, dir=cache))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_stale(cache: Path) -> None:
    for path in _older(cache, STAGING, STALE_AFTER):
        shutil.rmtree(path, ignore_errors=True)


def _remove_unused(cache: Path) -> None:
    for path in _older(cache, LOCAL, SNAPSHOT_KEPT):
        discard(path)


def _older(cache: Path, prefix: str, seconds: float) -> Iterator[Path]:
    for path in cache.glob(f"{prefix}*"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > seconds:
                yield path
