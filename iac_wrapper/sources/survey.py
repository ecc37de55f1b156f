"""Look through a complete tree: is it what git has, and what of it is there in name only."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from iac_wrapper.model.omission import Omission

POINTER = b"version https://git-lfs.github.com/spec/v1\n"
"""How a Git LFS pointer begins."""

_LFS_SIZE = 1024  # bytes below which a pointer is; both from the pointer's specification

_LINK = "120000"
SUBMODULE = "160000"
"""The mode by which git lists a submodule."""


def survey(
    root: Path, known: Collection[Omission], submodules: Mapping[str, str]
) -> tuple[Omission, ...]:
    """What `root` lacks: `known`, and the Git LFS pointers and submodules in it.

    Git has no empty directories: one that is empty stands for a submodule.

    Args:
        root: a tree.
        known: omissions noted when it was made.
        submodules: path -> URL, as far as known.
    """
    found = list(known)
    emptied = {os.path.dirname(one.path) for one in known}  # noqa: PTH120 - text, not a file
    for folder, directories, names in os.walk(root):
        here = os.path.relpath(folder, root)
        if not directories and not names and here != "." and here not in emptied:
            found.append(Omission("submodule", here, submodules.get(here, "")))
        for name in names:
            path = Path(folder, name)
            if is_pointer(path):
                found.append(Omission("lfs", str(path.relative_to(root))))
    return tuple(sorted(found))


def first_difference(
    root: Path, entries: Mapping[str, tuple[str, str]], known: Collection[Omission]
) -> str | None:
    """The first path at which `root` is not what git lists; None if it is the commit.

    Args:
        root: a tree.
        entries: path -> (mode, SHA-1), as `git.list_commit` gives them.
        known: links left out, which may be missing.
    """
    left_out = {one.path for one in known if one.kind == "link"}
    for name, (mode, sha) in sorted(entries.items()):
        if mode != SUBMODULE and name not in left_out and not _is(root / name, mode, sha):
            return name
    added = (name for name in _files(root) if name not in entries)
    return min(added, default=None)


def tree_size(root: Path) -> int:
    """Bytes of the files below `root`."""
    return sum((root / name).lstat().st_size for name in _files(root))


def tree_entries(root: Path) -> int:
    """How many files, directories and links are below `root`."""
    return sum(len(directories) + len(names) for _, directories, names in os.walk(root))


def _files(root: Path) -> Iterator[str]:
    """Files and links below `root`."""
    for folder, directories, names in os.walk(root):
        here = Path(folder)
        linked = [name for name in directories if (here / name).is_symlink()]
        yield from (str((here / name).relative_to(root)) for name in (*names, *linked))


def _is(path: Path, mode: str, sha: str) -> bool:
    try:
        found = path.lstat()
    except OSError:
        return False
    if stat.S_ISLNK(found.st_mode):
        target = os.fsencode(path.readlink())
        return mode == _LINK and _blob_header(len(target), target).hexdigest() == sha
    if not stat.S_ISREG(found.st_mode):
        return False
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: _blob_header(found.st_size))
    executable = bool(found.st_mode & 0o100)
    return mode == ("100755" if executable else "100644") and digest.hexdigest() == sha


def _blob_header(size: int, content: bytes = b"") -> hashlib._Hash:
    """The hash by which git names a file, begun."""
    return hashlib.sha1(b"blob %d\0%b" % (size, content), usedforsecurity=False)


def is_pointer(path: Path) -> bool:
    """Whether a file is a Git LFS pointer."""
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode) or found.st_size > _LFS_SIZE:
        return False
    with path.open("rb") as file:
        return is_pointer_text(file.read(_LFS_SIZE + 1))


def is_pointer_text(text: bytes) -> bool:
    """Whether a file with this content is one."""
    return len(text) <= _LFS_SIZE and text.startswith(POINTER)
