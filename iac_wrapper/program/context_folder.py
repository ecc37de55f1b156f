"""The directory that Docker builds an image from: written once, whole or not at all."""

from __future__ import annotations

import re
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path, PurePosixPath

from iac_wrapper.errors import SourceError
from iac_wrapper.files.public_tree import DIRECTORY, PLAIN
from iac_wrapper.program import bytecode
from iac_wrapper.program.build_context import AppBuild
from iac_wrapper.program.dependency_plan import Beside
from iac_wrapper.program.own_dockerfile import DockerfileBuild
from iac_wrapper.program.private_requirements import FOLDER, write_repositories
from iac_wrapper.sources.source_copy import copy_source
from iac_wrapper.sources.tree import tree_hash

KEPT_CONTEXTS = 3
"""Contexts of a service that stay: the current one, and two to go back to."""


def write(build: AppBuild | DockerfileBuild) -> Path:
    """Put the context of `build` on disk, whole or not at all; one that is there is kept.

    Returns:
        The directory. Older contexts of the same service are removed, but for the latest few.

    Raises:
        SourceError: the source is no longer what was described, or a requirement cannot be fetched.
    """
    if build.context.is_dir():
        build.context.touch()
    else:
        build.context.parent.mkdir(parents=True, exist_ok=True)
        _write_new(build)
    _prune(build.context)
    return build.context


def _write_new(build: AppBuild | DockerfileBuild) -> None:
    parent = build.context.parent
    with tempfile.TemporaryDirectory(prefix=".new-", dir=parent) as temporary:
        draft = Path(temporary) / "context"
        newest = next(iter(_others(build.context)), None)
        before = newest and newest / "app"
        _copy_whole(build, draft, before)
        if isinstance(build, AppBuild) and build.compiled:
            bytecode.compile_source(draft / "app", before)
        if isinstance(build, AppBuild) and build.repositories:
            write_repositories(build.repositories, draft / FOLDER)
        for name, text in build.files.items():
            _make_folders(draft, PurePosixPath(name).parent)
            (draft / name).write_text(text, encoding="utf-8")
            (draft / name).chmod(PLAIN)
        try:
            draft.rename(build.context)
        except OSError:  # another deploy was faster; its context is the same by construction
            if not build.context.is_dir():
                raise


def _copy_whole(build: AppBuild | DockerfileBuild, draft: Path, before: Path | None) -> None:
    """The source and what is beside it, as described: the tag promises it, and the cache that it
    comes from may be removed at any time."""
    beside = build.beside if isinstance(build, AppBuild) else None
    try:
        copy_source(build.source, draft / "app", before)
        whole = tree_hash(draft / "app") == build.tree
        if beside:
            _copy_parts(beside, draft / "beside")
            whole &= replace(beside, root=draft / "beside").digest == beside.digest
    except FileNotFoundError:
        whole = False
    if not whole:
        raise SourceError(
            "the source was removed or changed while it was being copied",
            found=str(build.source),
            next_step="run the command again; it fetches the source anew",
            retryable=True,
        )


def _copy_parts(beside: Beside, target: Path) -> None:
    for part in beside.parts:
        path = beside.root / part
        _make_folders(target, PurePosixPath(part).parent)
        if path.is_dir():
            copy_source(path, target / part)
        else:
            shutil.copyfile(path, target / part)
            (target / part).chmod(PLAIN)


def _make_folders(root: Path, relative: PurePosixPath) -> None:
    """Make `root` and the folders of `relative` in it, with one mode whatever the umask."""
    for folder in (root, *(root / one for one in reversed((relative, *relative.parents)))):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(DIRECTORY)


def _prune(context: Path) -> None:
    for old in _others(context)[KEPT_CONTEXTS - 1 :]:
        shutil.rmtree(old, ignore_errors=True)


def _others(context: Path) -> list[Path]:
    """The other contexts of the same service, the one that was used last first."""
    service = context.name.rpartition("-")[0]
    mine = re.compile(re.escape(service) + "-[0-9a-f]{12}")
    contexts = [p for p in context.parent.iterdir() if mine.fullmatch(p.name) and p != context]
    return sorted(contexts, key=lambda path: path.stat().st_mtime, reverse=True)
