"""Copies a checkout into a build context: all of it, but for links that leave it.

It must not know what the files are for. What is no source was left out when the checkout was made.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from iac_wrapper.files.public_tree import file_mode, make_directory
from iac_wrapper.sources.tree import leaving_links


def copy_source(source: Path, target: Path) -> None:
    """Copy the tree `source` to `target`, which must not exist.

    Modes become 0755 and 0644 exactly, whatever the umask (owned by root in the image, writable by
    nobody else).
    """
    root = source.resolve()
    left_out = {root / one.path for one in leaving_links(root)}
    for folder, directories, names in os.walk(root):
        here = Path(folder)
        there = target / here.relative_to(root)
        make_directory(there)
        linked = [name for name in directories if (here / name).is_symlink()]
        directories[:] = [name for name in directories if name not in linked]
        for name in (*linked, *names):
            if here / name not in left_out:
                _copy(here / name, there / name)


def _copy(path: Path, target: Path) -> None:
    if path.is_symlink():
        target.symlink_to(path.readlink())
    else:
        shutil.copyfile(path, target)
        target.chmod(file_mode(path.stat().st_mode))
