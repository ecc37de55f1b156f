"""Slugs -> checkouts: refs become commits, commits become files, all in parallel.

It must not know what the files are (detection) or what becomes of them (images).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

from iac_wrapper.errors import IacError, SourceError
from iac_wrapper.model.app import AppSpec, Checkout
from iac_wrapper.model.git_refs import FULL_SHA, SHORT_SHA, Refs
from iac_wrapper.model.hosts import Hosts
from iac_wrapper.model.omission import sentences
from iac_wrapper.model.remote import Remote, remote_of
from iac_wrapper.model.slug import Slug
from iac_wrapper.settings import Settings
from iac_wrapper.sources import git
from iac_wrapper.sources.source_cache import CachedTree, Commit, SourceCache
from iac_wrapper.sources.unpack import SourceLimits

MAX_PARALLEL = 8
"""Connections at once: hosts slow down or refuse clients that open many more."""

Progress = Callable[[str], None]

LockedCommits = Mapping[str, tuple[str, str]]
"""Service name -> (slug text, full SHA): what the lock file says."""

T = TypeVar("T")


def resolve(
    specs: Sequence[AppSpec],
    settings: Settings,
    *,
    cache: Path,
    locked: LockedCommits | None = None,
    progress: Progress = lambda _: None,
) -> list[Checkout]:
    """Fetch the source of every app.

    Args:
        specs: what is wanted; relative local paths start from the `base` of each.
        settings: base URLs, tokens, size cap.
        cache: the source cache directory.
        locked: commits to keep for apps whose slug is still the locked one; their refs are not
            asked for, and with a warm cache nothing touches the network.
        progress: gets one line per fact, from several threads but one at a time.

    Returns:
        One checkout per spec, in their order.

    Raises:
        SourceError: a slug that cannot be resolved or fetched; when several fail, the first, with
            the others in its detail.
        ConfigError: a base URL in the settings is not usable.
    """
    say = _one_at_a_time(progress)
    store = SourceCache(cache, SourceLimits(settings.fetch_max_bytes), say)
    run = _Run(settings.hosts, store, locked or {})
    with ThreadPoolExecutor(MAX_PARALLEL, "resolve") as pool:
        futures = [pool.submit(run.checkout, spec) for spec in specs]
        try:
            return _all(specs, futures)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


class _Once:
    """Does each thing once, however many threads ask; the others wait for the first."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._done: dict[Hashable, Future[Any]] = {}

    def __call__(self, key: Hashable, make: Callable[[], T]) -> T:
        with self._lock:
            first = key not in self._done
            future: Future[T] = self._done.setdefault(key, Future())
        if first:
            try:
                future.set_result(make())
            except BaseException as error:
                future.set_exception(error)
        return future.result()


class _Run:
    """What one call of `resolve` shares between its threads."""

    def __init__(self, hosts: Hosts, store: SourceCache, locked: LockedCommits) -> None:
        self._hosts = hosts
        self._store = store
        self._locked = locked
        self._progress = store.progress
        self._once = _Once()

    def checkout(self, spec: AppSpec) -> Checkout:
        """The source of one app."""
        if spec.slug.kind == "path":
            return self._local(spec)
        remote = remote_of(spec.slug, self._hosts)
        commit = self._commit(spec, remote)
        cached = self._once((remote.url, commit), lambda: self._fetch(spec.slug, remote, commit))
        path = _inside(cached.path, spec.slug.subdir)
        part = cached if path == cached.path else cached.part(path)
        return _checkout(spec, part, commit)

    def _local(self, spec: AppSpec) -> Checkout:
        path = (spec.base / Path(spec.slug.location).expanduser()).absolute()
        if not path.is_dir():
            raise SourceError(
                "no such directory",
                found=f"{path}{' is a file' if path.is_file() else ''}",
                expected="a directory; relative paths start at the folder of the repos file",
                next_step="correct the path",
            )
        path = _inside(path, spec.slug.subdir)
        cached = self._once(path, lambda: self._store.snapshot(path))
        return _checkout(spec, cached, None)

    def _commit(self, spec: AppSpec, remote: Remote) -> str:
        slug_text, locked = self._locked.get(spec.name, ("", ""))
        if slug_text == spec.slug.text and FULL_SHA.fullmatch(locked):
            return locked
        ref = spec.slug.ref
        if ref and FULL_SHA.fullmatch(ref):
            return ref  # the fetch proves that it exists
        refs = self._once(remote.url, lambda: git.ls_remote(remote))
        found = refs.resolve(ref)
        if ref and SHORT_SHA.fullmatch(ref) and not (found and found[0].startswith(ref)):
            # The digits of a commit that no ref points at, or a name that may be such digits too.
            found = refs.resolve_short(ref, self._find(remote, ref))
        if found is None:
            raise _no_such_ref(ref or "HEAD", refs, remote)
        self._progress(f"{spec.name}: {found[1]} is {found[0][:12]}")
        return found[0]

    def _find(self, remote: Remote, short: str) -> list[str]:
        def look() -> list[str]:
            self._progress(f"{remote.url}: looking for {short} in the history")
            return git.find_commits(remote, short, self._store.folder)

        return self._once((remote.url, short), look)

    def _fetch(self, slug: Slug, remote: Remote, commit: str) -> CachedTree:
        return self._store.fetch(Commit(remote, commit, slug.archive_url(self._hosts, commit)))


def _checkout(spec: AppSpec, cached: CachedTree, commit: str | None) -> Checkout:
    notes = sentences(cached.omissions)
    return Checkout(spec, cached.path, cached.tree, commit, cached.method, notes)


def narrowed(checkout: Checkout, folder: str) -> Checkout:
    """A folder of a checkout as a source of its own, as if its slug had named that; empty: all."""
    if not folder:
        return checkout
    part = CachedTree(checkout.path, checkout.tree, checkout.method).part(checkout.path / folder)
    notes = (*checkout.notes, *sentences(part.omissions))
    return replace(checkout, path=part.path, tree=part.tree, notes=notes)


def _inside(root: Path, subdir: str | None) -> Path:
    """A subdirectory of a source that is really inside: a link may not lead out of it."""
    path = root / subdir if subdir else root
    if path.is_dir() and path.resolve().is_relative_to(root.resolve()):
        return path
    top = sorted(entry.name for entry in root.iterdir() if entry.is_dir())
    raise SourceError(
        "no such subdirectory",
        found=subdir,
        expected="a directory of the source",
        next_step="write one that exists, as #ref:folder or `subdir: folder`",
        detail="\n".join(f"{name}/" for name in top if name != ".git") or "no directories at all",
    )


def _no_such_ref(ref: str, refs: Refs, remote: Remote) -> SourceError:
    return SourceError(
        "no such branch, tag or commit",
        found=f"{ref!r} in {remote.url}",
        expected="one of the refs below, or a commit SHA of at least 7 digits",
        next_step="correct the #ref in the slug, or push it",
        detail="\n".join(refs.near(ref)),
    )


def _all(specs: Sequence[AppSpec], futures: Sequence[Future[Checkout]]) -> list[Checkout]:
    done: list[Checkout] = []
    failures: list[IacError] = []
    for spec, future in zip(specs, futures, strict=True):
        try:
            done.append(future.result())
        except IacError as error:
            failures.append(_placed(error, spec))
    if failures:
        raise _combined(failures)
    return done


def _placed(error: IacError, spec: AppSpec) -> IacError:
    """A copy about `spec`: apps that share a source share the error object."""
    placed = copy.copy(error)
    if not placed.where:
        placed.where = f"{spec.where or 'argument'} ({spec.slug.text})"
    return placed


def _combined(failures: Sequence[IacError]) -> IacError:
    first, others = failures[0], failures[1:]
    if others:
        parts = [first.detail] if first.detail else []
        parts += [f"also failed ({len(others)}):", *(other.render() for other in others)]
        first.detail = "\n".join(parts)
    return first


def _one_at_a_time(progress: Progress) -> Progress:
    lock = Lock()

    def locked(line: str) -> None:
        with lock:
            progress(line)

    return locked
