"""Fetched sources on disk, keyed by what they are.

``<cache>/<key>/tree`` holds the files and ``<cache>/<key>/source.json`` what they must hash to. A
directory gets its name by one rename when it is complete, so any number of processes may share a
cache; the loser of a race takes the winner's tree. Nobody is kept from writing to a tree: it is
hashed again before each use instead. It must not know refs or repos.yaml.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from iac_wrapper.errors import SourceError
from iac_wrapper.model.omission import Omission, below
from iac_wrapper.model.remote import Remote
from iac_wrapper.sources import archive, git, working_tree
from iac_wrapper.sources.http_source import SourceUnavailableError
from iac_wrapper.sources.survey import first_difference, survey
from iac_wrapper.sources.tree import copy_local, leaving_links, tree_hash
from iac_wrapper.sources.unpack import SourceLimits, unpack

Method = Literal["archive", "clone", "local"]

STALE_AFTER = 24 * 3600.0
"""Seconds after which the work directory of a process that died is removed."""

SNAPSHOT_KEPT = 7 * 24 * 3600.0
"""Seconds without use after which the copy of a local directory is removed: each edit makes one."""

_STAGING = ".tmp-"
_LOCAL = "local-"


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
class Commit:
    """One commit to fetch: `sha` in full; `archive_url` where its host offers it as .tar.gz."""

    remote: Remote
    sha: str
    archive_url: str | None

    @property
    def key(self) -> str:
        """Name in the cache."""
        return f"{hashlib.sha256(self.remote.url.encode()).hexdigest()[:16]}-{self.sha}"


@dataclass(frozen=True)
class SourceCache:
    """The cache in `folder` (made if missing).

    `limits` are the caps of an unpacked tree; `progress` is told why an archive was not used, or
    that a cached tree was altered.
    """

    folder: Path
    limits: SourceLimits
    progress: Callable[[str], None]

    def fetch(self, commit: Commit) -> CachedTree:
        """The tree of a commit: the cached one if it is unaltered, else by archive, else by git.

        Raises:
            SourceError: neither way gives the commit, or what came is refused.
        """
        final = self.folder / commit.key
        if cached := _lookup(final, self.progress):
            return cached
        with _staging(self.folder) as staging:
            method, links = self._obtain(commit, staging)
            tree = staging / "tree"
            omissions = survey(tree, links, working_tree.submodule_urls(tree))
            return _publish(staging, CachedTree(final / "tree", tree_hash(tree), method, omissions))

    def snapshot(self, source: Path) -> CachedTree:
        """A copy of a local directory that later edits do not reach, keyed by its content.

        A new one makes old ones go.

        Raises:
            SourceError: as `copy_local`.
        """
        with _staging(self.folder) as staging:
            omissions = copy_local(source, staging / "tree", self.limits)
            tree = tree_hash(staging / "tree")
            final = self.folder / f"{_LOCAL}{tree.removeprefix('sha256:')[:40]}"
            if cached := _lookup(final, self.progress):
                with contextlib.suppress(OSError):
                    final.touch()
                return replace(cached, omissions=omissions)
            made = _publish(staging, CachedTree(final / "tree", tree, "local", omissions))
        _remove_unused(self.folder)
        return made

    def _obtain(self, commit: Commit, staging: Path) -> tuple[Method, tuple[Omission, ...]]:
        if commit.archive_url:
            links = self._by_archive(commit, commit.archive_url, staging)
            if links is not None:
                return "archive", links
        exported = staging / "source.tar"
        git.export_commit(commit.remote, commit.sha, exported)
        links = unpack(exported, staging / "tree", self.limits, strip_top=False, commit=commit.sha)
        exported.unlink()
        return "clone", links

    def _by_archive(self, commit: Commit, url: str, staging: Path) -> tuple[Omission, ...] | None:
        """None, with nothing left behind, if the archive cannot be had or is not the commit.

        Hosts leave out and rewrite what .gitattributes says, and may leave out that file as well:
        only git's own list of the commit tells. It comes while the archive does.
        """
        tree = staging / "tree"
        with ThreadPoolExecutor(1, "list") as pool:
            listing = pool.submit(git.list_commit, commit.remote, commit.sha, staging)
            links = self._download(commit, url, staging)
            if links is None:
                return None
            different = first_difference(tree, listing.result(), links)
        if different is None:
            return links
        self.progress(
            f"{commit.remote.url}: the host's archive changes or lacks {different}; cloning instead"
        )
        shutil.rmtree(tree)
        return None

    def _download(self, commit: Commit, url: str, staging: Path) -> tuple[Omission, ...] | None:
        """None, with nothing left behind, if the archive cannot be had."""
        tree, file = staging / "tree", staging / "source.tar.gz"
        headers = commit.remote.archive_headers
        try:
            archive.download(url, headers, file, max_bytes=self.limits.max_bytes)
            return unpack(file, tree, self.limits, strip_top=True, commit=commit.sha)
        except SourceError as error:
            # What is refused for its content would be refused from git too.
            if not (isinstance(error, SourceUnavailableError) or error.retryable):
                raise
            self.progress(f"{commit.remote.url}: {error.message}; cloning instead")
            shutil.rmtree(tree, ignore_errors=True)
            return None
        finally:
            file.unlink(missing_ok=True)


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
            _discard(final)  # of an earlier version
            return None
    except FileNotFoundError:
        if not final.exists():
            return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SourceError):
        pass  # unreadable is altered too
    progress(f"{final.name}: the cached source was altered; fetching it again")
    _discard(final)
    return None


def _discard(final: Path) -> None:
    """Take the name away first, in one step: nobody must see a tree that is being removed."""
    away = Path(tempfile.mkdtemp(prefix=_STAGING, dir=final.parent))
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
    folder = Path(tempfile.mkdtemp(prefix=_STAGING, dir=cache))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_stale(cache: Path) -> None:
    for path in _older(cache, _STAGING, STALE_AFTER):
        shutil.rmtree(path, ignore_errors=True)


def _remove_unused(cache: Path) -> None:
    for path in _older(cache, _LOCAL, SNAPSHOT_KEPT):
        _discard(path)


def _older(cache: Path, prefix: str, seconds: float) -> Iterator[Path]:
    for path in cache.glob(f"{prefix}*"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > seconds:
                yield path
