"""A local directory as a source: what would be committed of it, its hash, and a copy of that.

Nothing is written to read it: a copy that is there already is not made again.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath

from iac_wrapper.errors import SourceError
from iac_wrapper.files.public_tree import file_mode, make_directory
from iac_wrapper.model.omission import Omission
from iac_wrapper.sources import working_tree
from iac_wrapper.sources.exclusions import JUNK, is_junk, junk, left_out
from iac_wrapper.sources.link_table import LinkTable
from iac_wrapper.sources.tree import Content, content_of, hash_of, walk
from iac_wrapper.sources.unpack import SourceLimits


@dataclass(frozen=True)
class LocalTree:
    """What is a source in the directory `source`.

    `tree` is the hash that a copy has, unless files change meanwhile; `omissions` what it lacks, or
    has in name only. `folders` come in an order in which they can be made, `files` with their
    modes, `links` with their targets.
    """

    source: Path
    tree: str
    omissions: tuple[Omission, ...]
    folders: tuple[str, ...]
    files: tuple[tuple[str, int], ...]
    links: tuple[tuple[str, str], ...]

    def copy(self, to: Path) -> None:
        """Copy it to `to`, which does not exist yet. Modes become 0755 and 0644 exactly, whatever
        the umask."""
        make_directory(to)
        for name in self.folders:
            make_directory(to / name)
        for name, mode in self.files:
            target = to / name
            shutil.copyfile(f"{self.source}/{name}", target, follow_symlinks=False)
            target.chmod(file_mode(mode))
        for name, link in self.links:
            (to / name).symlink_to(link)


def read_local(source: Path, limits: SourceLimits) -> LocalTree:
    """What would be committed of a local directory.

    In a git working tree that is what git tracks plus what .gitignore does not exclude; elsewhere
    everything but `JUNK`. A folder that holds a ``ca.key`` which git does not track is left out:
    it may be this tool's own.

    Raises:
        SourceError: git refuses to read the working tree, or the caps are exceeded.
    """
    reader = _Reader(source, limits)
    found = working_tree.read_working_tree(source, JUNK)
    if found is None:
        reader.untracked(name for name, _ in walk(source, is_junk))
        return reader.finish([*junk(source)])
    reader.tracked(found.tracked)
    reader.untracked(found.untracked)
    empty = reader.submodules(found.submodules)
    known = (Omission("submodule", name, found.submodules[name]) for name in empty)
    return reader.finish(found.ignored, known, [*found.submodules])


class _Reader:
    """One directory while it is read; links are judged last, when all else is known."""

    def __init__(self, source: Path, limits: SourceLimits) -> None:
        self._source = source
        self._limits = limits
        self._table = LinkTable()
        self._omissions: set[Omission] = set()
        self._folders: list[str] = []
        self._files: dict[str, os.stat_result] = {}
        self._links: dict[str, os.stat_result] = {}
        self._bytes = 0

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

    def submodules(self, names: Iterable[str]) -> list[str]:
        """Note the folders of submodules; returns those that nothing else lies in."""
        made = []
        for name in names:
            parts = PurePath(name).parts
            self._note_parents(parts)
            if self._table.add_directory(parts):
                self._folders.append(name)
                made.append(name)
        return made

    def finish(
        self,
        ignored: Collection[str],
        known: Iterable[Omission] = (),
        submodules: Collection[str] = (),
    ) -> LocalTree:
        verdict = self._table.judge()
        links = {"/".join(parts): target for parts, target in verdict.good}
        closed = {*submodules, *(one.path for one in self._omissions)}
        there = {*self._folders, *self._files, *links}
        content = {name: self._content(name) for name in (*self._files, *links)}
        pointers = (Omission("lfs", name) for name, one in content.items() if one.is_pointer)
        found = left_out(self._source, there, ignored, closed)
        omissions = {*self._omissions, *verdict.omissions, *found, *known, *pointers}
        return LocalTree(
            self._source,
            hash_of(content.items()),
            tuple(sorted(omissions)),
            tuple(self._folders),
            tuple((name, status.st_mode) for name, status in self._files.items()),
            tuple(links.items()),
        )

    def _content(self, name: str) -> Content:
        status = self._files.get(name) or self._links[name]
        return content_of(f"{self._source}/{name}", status)

    def _add(self, name: str, found: os.stat_result) -> None:
        parts = tuple(name.split("/"))
        self._bytes += found.st_size
        count = len(self._files) + len(self._links) + 1
        instead = "name what is not source in .gitignore"
        self._limits.check(self._bytes, count, of=str(self._source), instead=instead)
        if stat.S_ISLNK(found.st_mode):
            self._note_parents(parts)
            self._table.add_link(parts, str((self._source / name).readlink()))
            self._links[name] = found
        elif stat.S_ISREG(found.st_mode):
            self._note_parents(parts)
            self._table.add_file(parts)
            self._files[name] = found
        else:
            self._omissions.add(Omission("special", name))

    def _note_parents(self, parts: tuple[str, ...]) -> None:
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
            self._folders.append("/".join(parts[:depth]))


def _key_folder(source: Path, name: str) -> str | None:
    """The folder above `name` that holds a CA's key, if there is one."""
    for parent in PurePath(name).parents:
        if parent.name and (source / parent / "ca.key").exists():
            return str(parent)
    return None
