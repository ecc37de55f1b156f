"""Source trees on disk: what is in them, and their hash."""

from __future__ import annotations

import hashlib
import io
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from iac_wrapper.model.omission import Omission
from iac_wrapper.sources.link_table import LinkTable
from iac_wrapper.sources.survey import is_pointer_text

_AT_ONCE = 2**20
"""Bytes up to which a file is read as a whole: the buffer of a larger one costs more."""


def tree_hash(root: Path) -> str:
    """``sha256:<hex>`` over everything below `root`: sorted paths, kinds, contents.

    Of the mode only the executable bit counts, as in git. ``.git`` and empty directories do not,
    nor do links that leave `root` (a folder of a source may have them): no image gets those.
    """
    entries = dict(walk(root))
    for link in _leaving_links(entries):
        del entries[link.path]
    found = ((n, e.path, e.stat(follow_symlinks=False)) for n, e in entries.items())
    return hash_of((name, content_of(path, status)) for name, path, status in found)


@dataclass(frozen=True)
class Content:
    """What the hash of a tree has of one of its files or links."""

    kind: Literal["f", "x", "l"]
    digest: bytes
    is_pointer: bool = False


def hash_of(entries: Iterable[tuple[str, Content]]) -> str:
    """The hash of a tree of these names."""
    digest = hashlib.sha256()
    for name, one in sorted(((os.fsencode(n), c) for n, c in entries), key=lambda each: each[0]):
        digest.update(b"%c%d:%b%b" % (ord(one.kind), len(name), name, one.digest))
    return f"sha256:{digest.hexdigest()}"


def leaving_links(root: Path) -> tuple[Omission, ...]:
    """The links below `root` that lead out of it or in circles."""
    return _leaving_links(dict(walk(root)))


def _leaving_links(entries: Mapping[str, os.DirEntry[str]]) -> tuple[Omission, ...]:
    table = LinkTable()
    for name, entry in entries.items():
        if entry.is_symlink():
            table.add_link(tuple(name.split("/")), str(Path(entry.path).readlink()))
    return tuple(one for one in table.judge().omissions if one.kind == "link")


def _is_git(name: str) -> bool:
    return name == ".git"


def walk(
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


def content_of(path: str, found: os.stat_result) -> Content:
    """What is in the file or link at `path`, whose status is `found`."""
    if stat.S_ISLNK(found.st_mode):
        target = os.fsencode(Path(path).readlink())
        return Content("l", hashlib.sha256(target).digest())
    kind: Literal["f", "x"] = "x" if found.st_mode & 0o100 else "f"
    with io.FileIO(path) as file:
        if found.st_size > _AT_ONCE:
            return Content(kind, hashlib.file_digest(file, "sha256").digest())
        text = file.readall()
    return Content(kind, hashlib.sha256(text).digest(), is_pointer_text(text))
