"""Slugs -> checkouts: refs become commits, commits become files, all in parallel.

It must not know what the files are (detection) or what becomes of them (images).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

from iac_wrapper.errors import IacError, SourceError
from iac_wrapper.model.app import AppSpec, Checkout
from iac_wrapper.model.event import Stage
from iac_wrapper.model.git_refs import FULL_SHA, SHORT_SHA, Refs
from iac_wrapper.model.hosts import Hosts
from iac_wrapper.model.omission import sentences
from iac_wrapper.model.remote import Remote, remote_of
from iac_wrapper.model.slug import Slug
from iac_wrapper.settings import Settings
from iac_wrapper.sources import git
from iac_wrapper.sources.commit_tree import Commit
from iac_wrapper.sources.retries import patiently
from iac_wrapper.sources.source_cache import CachedTree, SourceCache
from iac_wrapper.sources.submodules import SubmoduleRules
from iac_wrapper.sources.unpack import SourceLimits

MAX_PARALLEL = 8
"""Connections at once: hosts slow down or refuse clients that open many more."""

Progress = Callable[[str], None]

Stages = Callable[[str, Stage, str], None]
"""Gets a service, what is being done to it, and words for that."""

LockedCommits = Mapping[str, tuple[str, str]]
"""Service name -> (slug text, full SHA): what the lock file says."""

T = TypeVar("T")


def resolve(  # noqa: PLR0913 - one keyword for each thing that a run is told
    specs: Sequence[AppSpec],
    settings: Settings,
    *,
    cache: Path,
    locked: LockedCommits | None = None,
    offline: bool = False,
    progress: Progress = lambda _: None,
    stage: Stages = lambda *_: None,
) -> list[Checkout]:
    """Fetch the source of every app.

    Args:
        specs: what is wanted; relative local paths start from the `base` of each.
        settings: base URLs, tokens, size cap.
        cache: the source cache directory.
        locked: commits to keep for apps whose slug is still the locked one; their refs are not
            asked for, and with a warm cache nothing touches the network.
        offline: ask nothing of another machine: what is not locked, or not in the cache, is an
            error.
        progress: gets one line per fact, from several threads but one at a time.
        stage: is told what is being done for an app, from several threads at once.

    Returns:
        One checkout per spec, in their order.

    Raises:
        SourceError: a slug that cannot be resolved or fetched; when several fail, the first, with
            the others in its detail.
        ConfigError: a base URL in the settings is not usable.
    """
    say = _one_at_a_time(progress)
    limits = SourceLimits(settings.fetch_max_bytes)
    rules = SubmoduleRules(settings.hosts, frozenset(settings.submodule_hosts))
    store = SourceCache(cache, limits, say, rules, offline)
    run = _Run(settings.hosts, store, locked or {}, stage)
    pool = ThreadPoolExecutor(MAX_PARALLEL, "resolve")
    try:
        return _all(specs, [pool.submit(run.checkout, spec) for spec in specs])
    finally:  # on Ctrl-C nobody waits for a server
        pool.shutdown(wait=False, cancel_futures=True)


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

    def __init__(
        self, hosts: Hosts, store: SourceCache, locked: LockedCommits, stage: Stages
    ) -> None:
        self._stage = stage
        self._hosts = hosts
        self._store = store
        self._locked = locked
        self._progress = store.progress
        self._once = _Once()

    def checkout(self, spec: AppSpec) -> Checkout:
        """The source of one app."""
        if spec.slug.kind == "path":
            self._stage(spec.name, "fetch", spec.slug.text)
            return self._local(spec)
        self._stage(spec.name, "resolve", spec.slug.text)
        remote = remote_of(spec.slug, self._hosts)
        wanted = self._wanted(spec, remote, self._commit(spec, remote))
        self._stage(spec.name, "fetch", f"commit {wanted.sha[:12]}")
        cached = self._once(wanted.key, lambda: self._store.fetch(wanted))
        return _checkout(spec, cached, wanted.sha)

    def _local(self, spec: AppSpec) -> Checkout:
        path = (spec.base / Path(spec.slug.location).expanduser()).absolute()
        if not path.is_dir():
            raise SourceError(
                "no such directory",
                found=f"{path}{' is a file' if path.is_file() else ''}",
                expected="a directory; relative paths start at the folder of the repos file",
                next_step="correct the path",
            )
        _inside(path, spec.slug.subdir)
        cached = self._once(path, lambda: self._store.snapshot(path))
        return _checkout(spec, cached, None)

    def _commit(self, spec: AppSpec, remote: Remote) -> str:
        slug_text, locked = self._locked.get(spec.name, ("", ""))
        if slug_text == spec.slug.text and FULL_SHA.fullmatch(locked):
            return locked
        ref = spec.slug.ref
        if ref and FULL_SHA.fullmatch(ref):
            return ref  # the fetch proves that it exists
        if self._store.offline and not remote.is_here:
            raise _not_locked(spec.slug, remote)
        refs = self._once(remote.url, lambda: self._refs(remote))
        found = refs.resolve(ref)
        digits = ref.lower() if ref and SHORT_SHA.fullmatch(ref) else ""
        if ref and digits and not (found and found[0].startswith(digits)):
            # The digits of a commit that no ref points at, or a name that may be such digits too.
            found = refs.resolve_short(ref, self._find(remote, digits))
        if found is None:
            raise _no_such_ref(spec.slug, refs, remote)
        self._progress(f"{spec.name}: {found[1]} is {found[0][:12]}")
        return found[0]

    def _refs(self, remote: Remote) -> Refs:
        return patiently(lambda: git.ls_remote(remote), self._progress)

    def _find(self, remote: Remote, short: str) -> list[str]:
        def look() -> list[str]:
            self._progress(f"{remote.url}: looking for {short} in the history")
            find = partial(git.find_commits, remote, short, self._store.folder)
            return patiently(find, self._progress)

        return self._once((remote.url, short), look)

    def _wanted(self, spec: AppSpec, remote: Remote, sha: str) -> Commit:
        options = spec.options
        archive_url = spec.slug.archive_url(self._hosts, sha)
        return Commit(remote, sha, archive_url, bool(options.lfs), bool(options.submodules))


def _checkout(spec: AppSpec, cached: CachedTree, commit: str | None) -> Checkout:
    path = _inside(cached.path, spec.slug.subdir)
    whole = path == cached.path
    part = cached if whole else cached.part(path)
    notes, source = sentences(part.omissions), None if whole else cached.path
    return Checkout(spec, part.path, part.tree, commit, part.method, notes, source)


def narrowed(checkout: Checkout, folder: str) -> Checkout:
    """A folder of a checkout as a source of its own, as if its slug had named that; empty: all."""
    if not folder:
        return checkout
    part = CachedTree(checkout.path, checkout.tree, checkout.method).part(checkout.path / folder)
    notes = (*checkout.notes, *sentences(part.omissions))
    around = checkout.source or checkout.path
    return replace(checkout, path=part.path, tree=part.tree, notes=notes, source=around)


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


def _not_locked(slug: Slug, remote: Remote) -> SourceError:
    return SourceError(
        "what this ref is now is known only to its server, which is not asked",
        found=f"{slug.ref or 'the default branch'!r} of {remote.url}",
        expected="with --offline, a commit of the lock, or a full SHA in the slug",
        next_step="run the command once without --offline",
    )


def _no_such_ref(slug: Slug, refs: Refs, remote: Remote) -> SourceError:
    ref = slug.ref or "HEAD"
    step = "correct the #ref in the slug, or push it"
    if longer := refs.longer(ref, slug.subdir or ""):
        name, subdir = longer
        step = f"write {slug.text.partition('#')[0]}#{name}{subdir and f':{subdir}'}"
    return SourceError(
        "no such branch, tag or commit",
        found=f"{ref!r} in {remote.url}",
        expected="one of the refs below, or a commit SHA of at least 7 digits",
        next_step=step,
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
