"""Source trees on disk: their hash, and a private copy of a local one."""

from __future__ import annotations

import fnmatch
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from iac_wrapper.adapters import git
from iac_wrapper.adapters.link_table import LinkTable
from iac_wrapper.adapters.unpack import Limits
from iac_wrapper.errors import SourceError
from iac_wrapper.public_tree import file_mode, make_directory

JUNK = (
    ".git",
    ".hg",
    ".svn",
    ".iac",
    ".terraform",
    "cdktf.out",
    ".env",
    ".venv",
    "venv",
    "node_modules",
    "__pycache__",
    "*.py[cod]",
    "*.egg-info",
    ".pytest_cache",
    ".mypy_cache",
    ".ruff_cache",
    ".tox",
    ".nox",
    ".idea",
    ".DS_Store",
)
"""What is never part of a local source, unless git tracks it."""


def tree_hash(root: Path) -> str:
    """``sha256:<hex>`` over everything below `root`: sorted paths, kinds, contents.

    Of the mode only the executable bit counts, as in git. ``.git`` and empty directories do not.
    A tree from `git archive` and one from a host's archive of the same commit agree, because the
    hosts run `git archive` too: ``export-ignore`` holds for both. Only ``export-subst``
    placeholders that depend on more than the commit (``%d``, the length of ``%h``) may differ.
    """
    digest = hashlib.sha256()
    for path in sorted(_walk(root), key=lambda item: os.fsencode(item.relative_to(root))):
        name = os.fsencode(path.relative_to(root))
        kind, content = _entry(path)
        digest.update(b"%c%d:%b%b" % (kind, len(name), name, content))
    return f"sha256:{digest.hexdigest()}"


def copy_local(source: Path, to: Path, limits: Limits) -> None:
    """Copy what would be committed of a local directory to `to`, which does not exist yet.

    In a git working tree that is what git tracks plus what .gitignore does not exclude; elsewhere
    everything but `JUNK`. A directory that holds a CA's key (``ca.key``) is left out always. Modes
    become 0755 and 0644 exactly, whatever the umask.

    Raises:
        SourceError: a link leaves the directory, a file is neither file nor link, or the caps are
            exceeded.
    """
    names = git.version_files(source, JUNK)
    files = [source / name for name in names] if names is not None else list(_walk(source, JUNK))
    table = LinkTable()
    make_directory(to)
    size = 0
    count = 0
    for path in files:
        parts = path.relative_to(source).parts
        if not os.path.lexists(path) or (path.is_dir() and not path.is_symlink()):
            continue  # deleted but still tracked; a submodule or a nested repository
        if _in_secrets(source, parts):
            continue
        size += path.lstat().st_size
        count += 1
        if size > limits.max_bytes or count > limits.max_entries:
            raise _too_large(source, limits)
        _make_parents(source, to, parts, table)
        _copy(path, to.joinpath(*parts), table, parts)
    table.check()


def _make_parents(source: Path, to: Path, parts: tuple[str, ...], table: LinkTable) -> None:
    """Git may still track files below what has become a link: they are not part of this tree."""
    for depth in range(1, len(parts)):
        if not table.add_directory(parts[:depth]):
            continue
        if source.joinpath(*parts[:depth]).is_symlink():
            raise SourceError(
                "a tracked file lies behind a symbolic link",
                found=str(source.joinpath(*parts)),
                next_step="commit the link in place of the directory, or remove it",
            )
        make_directory(to.joinpath(*parts[:depth]))


def _copy(path: Path, target: Path, table: LinkTable, parts: tuple[str, ...]) -> None:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        link = str(path.readlink())
        table.add_link(parts, link)
        target.symlink_to(link)
    elif stat.S_ISREG(mode):
        table.add_file(parts)
        shutil.copyfile(path, target, follow_symlinks=False)
        target.chmod(file_mode(mode))
    else:
        raise SourceError(
            "the source holds neither a file nor a link",
            found=str(path),
            next_step="remove it, or name it in .gitignore",
        )


def _walk(root: Path, junk: tuple[str, ...] = (".git",)) -> Iterator[Path]:
    """Files and links below `root`, in no order; links to directories are not entered."""
    with os.scandir(root) as entries:
        for entry in entries:
            if any(fnmatch.fnmatch(entry.name, pattern) for pattern in junk):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(Path(entry.path), junk)
            else:
                yield Path(entry.path)


def _entry(path: Path) -> tuple[int, bytes]:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return ord("l"), hashlib.sha256(os.fsencode(path.readlink())).digest()
    with path.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").digest()
    return ord("x") if mode & 0o100 else ord("f"), content


def _in_secrets(source: Path, parts: tuple[str, ...]) -> bool:
    parents = (source.joinpath(*parts[:depth]) for depth in range(len(parts)))
    return any((parent / "ca.key").exists() for parent in parents if parent != source)


def _too_large(source: Path, limits: Limits) -> SourceError:
    return SourceError(
        "the source is too large",
        found=f"{source}: more than {limits.max_bytes // 10**6} MB or {limits.max_entries} files",
        next_step="name what is not source in .gitignore, or raise IAC_FETCH_MAX_MB",
    )
