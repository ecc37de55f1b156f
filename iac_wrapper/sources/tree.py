"""Source trees on disk: their hash, and a private copy of a local one."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path, PurePath

from iac_wrapper.errors import SourceError
from iac_wrapper.files.public_tree import file_mode, make_directory
from iac_wrapper.model.omission import Omission
from iac_wrapper.sources import working_tree
from iac_wrapper.sources.exclusions import JUNK, is_junk, junk, left_out
from iac_wrapper.sources.link_table import LinkTable
from iac_wrapper.sources.survey import survey
from iac_wrapper.sources.unpack import SourceLimits

_AT_ONCE = 2**20
"""Bytes up to which a file is read as a whole: the buffer of a larger one costs more."""


def tree_hash(root: Path) -> str:
    """``sha256:<hex>`` over everything below `root`: sorted paths, kinds, contents.

    Of the mode only the executable bit counts, as in git. ``.git`` and empty directories do not,
    nor do links that leave `root` (a folder of a source may have them): no image gets those.
    """
    digest = hashlib.sha256()
    entries = dict(_walk(root))
    for link in _leaving_links(entries):
        del entries[link.path]
    for name, entry in sorted((os.fsencode(name), entry) for name, entry in entries.items()):
        kind, content = _entry(entry)
        digest.update(b"%c%d:%b%b" % (kind, len(name), name, content))
    return f"sha256:{digest.hexdigest()}"


def leaving_links(root: Path) -> tuple[Omission, ...]:
    """The links below `root` that lead out of it or in circles."""
    return _leaving_links(dict(_walk(root)))


def _leaving_links(entries: Mapping[str, os.DirEntry[str]]) -> tuple[Omission, ...]:
    table = LinkTable()
    for name, entry in entries.items():
        if entry.is_symlink():
            table.add_link(tuple(name.split("/")), str(Path(entry.path).readlink()))
    return tuple(one for one in table.judge().omissions if one.kind == "link")


def copy_local(source: Path, to: Path, limits: SourceLimits) -> tuple[Omission, ...]:
    """Copy what would be committed of a local directory to `to`, which does not exist yet.

    In a git working tree that is what git tracks plus what .gitignore does not exclude; elsewhere
    everything but `JUNK`. A folder that holds a ``ca.key`` which git does not track is left out:
    it may be this tool's own. Modes become 0755 and 0644 exactly, whatever the umask.

    Returns:
        What is not in the copy, or in name only.

    Raises:
        SourceError: git refuses to read the working tree, or the caps are exceeded.
    """
    copy = _Copy(source, to, limits)
    found = working_tree.read_working_tree(source, JUNK)
    if found is None:
        copy.untracked(name for name, _ in _walk(source, is_junk))
        return survey(to, copy.finish([*junk(source)]), {})
    copy.tracked(found.tracked)
    copy.untracked(found.untracked)
    copy.submodules(found.submodules)
    return survey(to, copy.finish(found.ignored), found.submodules)


class _Copy:
    """The copy of one directory while it grows; links are made last, those that stay inside."""

    def __init__(self, source: Path, to: Path, limits: SourceLimits) -> None:
        self._source = source
        self._to = to
        self._limits = limits
        self._table = LinkTable()
        self._omissions: set[Omission] = set()
        self._submodules: tuple[str, ...] = ()
        self._bytes = 0
        self._count = 0
        make_directory(to)

    def tracked(self, names: Iterable[str]) -> None:
        for name in names:
            try:
                found = os.lstat(f"{self._source}/{name}")
            except (FileNotFoundError, NotADirectoryError):
                found = None
            # A directory there means that git's file is gone as well.
            if found and not stat.S_ISDIR(found.st_mode):
                self._add(name, found)
            else:
                self._omissions.add(Omission("gone", name))

    def untracked(self, names: Iterable[str]) -> None:
        for name in names:
            if name.endswith("/"):
                self._omissions.add(Omission("repository", name.rstrip("/")))
            elif (secrets := _key_folder(self._source, name)) is not None:
                self._omissions.add(Omission("key", secrets))
            else:
                self._add(name, os.lstat(f"{self._source}/{name}"))

    def submodules(self, names: Iterable[str]) -> None:
        self._submodules = tuple(names)
        for name in self._submodules:
            parts = PurePath(name).parts
            self._make_parents(parts)
            if self._table.add_directory(parts):
                make_directory(self._to.joinpath(*parts))

    def finish(self, ignored: Collection[str]) -> set[Omission]:
        verdict = self._table.judge()
        for parts, target in verdict.good:
            self._to.joinpath(*parts).symlink_to(target)
        known = {*self._submodules, *(one.path for one in self._omissions)}
        found = left_out(self._source, self._to, ignored, known)
        return self._omissions.union(verdict.omissions, found)

    def _add(self, name: str, found: os.stat_result) -> None:
        parts, path = tuple(name.split("/")), f"{self._source}/{name}"
        self._bytes += found.st_size
        self._count += 1
        if self._bytes > self._limits.max_bytes or self._count > self._limits.max_entries:
            raise _too_large(self._source, self._limits)
        if stat.S_ISLNK(found.st_mode):
            self._make_parents(parts)
            self._table.add_link(parts, str(Path(path).readlink()))
        elif stat.S_ISREG(found.st_mode):
            self._make_parents(parts)
            self._table.add_file(parts)
            target = self._to / name
            shutil.copyfile(path, target, follow_symlinks=False)
            target.chmod(file_mode(found.st_mode))
        else:
            self._omissions.add(Omission("special", name))

    def _make_parents(self, parts: tuple[str, ...]) -> None:
        """Git may still track files below what has become a link: they are not of this tree."""
        for depth in range(1, len(parts)):
            if not self._table.add_directory(parts[:depth]):
                continue
            if self._source.joinpath(*parts[:depth]).is_symlink():
                raise SourceError(
                    "a tracked file lies behind a symbolic link",
                    found=str(self._source.joinpath(*parts)),
                    next_step="commit the link in place of the directory, or remove it",
                )
            make_directory(self._to.joinpath(*parts[:depth]))


def _is_git(name: str) -> bool:
    return name == ".git"


def _walk(
    root: Path, without: Callable[[str], bool] = _is_git
) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Files and links below `root` by their relative names, in no order; links to directories are
    not entered. Strings: with a Path for each, 2,000 files take half a second more."""
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        with os.scandir(f"{root}/{folder}") as entries:
            for entry in entries:
                if without(entry.name):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(f"{folder}{entry.name}/")
                else:
                    yield f"{folder}{entry.name}", entry


def _entry(entry: os.DirEntry[str]) -> tuple[int, bytes]:
    found = entry.stat(follow_symlinks=False)
    if stat.S_ISLNK(found.st_mode):
        target = os.fsencode(Path(entry.path).readlink())
        return ord("l"), hashlib.sha256(target).digest()
    with io.FileIO(entry.path) as file:
        if found.st_size <= _AT_ONCE:
            content = hashlib.sha256(file.readall()).digest()
        else:
            content = hashlib.file_digest(file, "sha256").digest()
    return ord("x") if found.st_mode & 0o100 else ord("f"), content


def _key_folder(source: Path, name: str) -> str | None:
    """The folder above `name` that holds a CA's key, if there is one."""
    for parent in PurePath(name).parents:
        if parent.name and (source / parent / "ca.key").exists():
            return str(parent)
    return None


def _too_large(source: Path, limits: SourceLimits) -> SourceError:
    return SourceError(
        "the source is too large",
        found=f"{source}: more than {limits.max_bytes // 10**6} MB or {limits.max_entries} files",
        next_step="name what is not source in .gitignore, or raise IAC_FETCH_MAX_MB",
    )
