"""Copies a checkout into a build context: all of it, but for links that leave it.

It must not know what the files are for. What is no source was left out when the checkout was made.
"""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

from iac_wrapper.files.public_tree import file_mode, make_directory
from iac_wrapper.sources.tree import leaving_links

_AT_ONCE = 2**20
"""Bytes of two files that are compared at a time."""


def copy_source(source: Path, target: Path, before: Path | None = None) -> None:
    """Copy the tree `source` to `target`, which must not exist.

    Modes become 0755 and 0644 exactly, whatever the umask (owned by root in the image, writable by
    nobody else).

    Args:
        source: only read.
        target: made.
        before: an earlier copy that nobody writes to. A file that is the same there gets a second
            name instead of a copy, in an eighth of the time.
    """
    root = source.resolve()
    old = before and before.resolve()
    left_out = {root / one.path for one in leaving_links(root)}
    for folder, directories, names in os.walk(root):
        here = Path(folder)
        there = target / here.relative_to(root)
        make_directory(there)
        linked = [name for name in directories if (here / name).is_symlink()]
        directories[:] = [name for name in directories if name not in linked]
        for name in (*linked, *names):
            if here / name not in left_out:
                earlier = old and old / here.relative_to(root) / name
                _copy(here / name, there / name, earlier)


def _copy(path: Path, target: Path, earlier: Path | None) -> None:
    if path.is_symlink():
        target.symlink_to(path.readlink())
        return
    mode = file_mode(path.stat().st_mode)
    if not (earlier and _link(path, target, earlier, mode)):
        shutil.copyfile(path, target)
        target.chmod(mode)


def _link(path: Path, target: Path, earlier: Path, mode: int) -> bool:
    """Whether `earlier` is the same as `path`, and `target` became a name of it."""
    if path.suffix == ".pyc":  # `program.bytecode` writes to those
        return False
    try:
        found = earlier.lstat()
        if found.st_mode != stat.S_IFREG | mode or not _same(path, earlier, found.st_size):
            return False
        target.hardlink_to(earlier)
    except OSError:  # it is not there, is being removed, or has too many names
        return False
    return True


def _same(one: Path, other: Path, size: int) -> bool:
    if one.stat().st_size != size:
        return False
    with one.open("rb", buffering=0) as left, other.open("rb", buffering=0) as right:
        while part := left.read(_AT_ONCE):
            if part != right.read(_AT_ONCE):
                return False
    return True
