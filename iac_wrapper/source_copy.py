"""Copies a checkout into a build context: regular files, directories and links that stay inside.

It must not know what the files are for.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from iac_wrapper.errors import SourceError
from iac_wrapper.public_tree import file_mode, make_directory

LEFT_OUT = frozenset({".git", ".hg", ".iac", ".svn", ".venv", "__pycache__"})
"""Directories of a working copy that are history or caches, never source."""


def copy_source(source: Path, target: Path) -> None:
    """Copy the tree `source` to `target`, which must not exist.

    Modes become 0755 and 0644 exactly, whatever the umask (owned by root in the image, writable by
    nobody else); sockets, devices and fifos are left out.

    Raises:
        SourceError: a symbolic link leaves `source`.
    """
    root = source.resolve()
    for folder, directories, names in os.walk(root):
        here = Path(folder)
        there = target / here.relative_to(root)
        make_directory(there)
        linked = [name for name in directories if (here / name).is_symlink()]
        directories[:] = [n for n in directories if _is_source(here / n) and n not in linked]
        for name in (*linked, *names):
            _copy(root, here / name, there / name)


def _is_source(directory: Path) -> bool:
    """False also for this tool's own keys, when somebody deploys the project folder itself."""
    return directory.name not in LEFT_OUT and not (directory / "ca.key").exists()


def _copy(root: Path, path: Path, target: Path) -> None:
    if path.is_symlink():
        target.symlink_to(_link(root, path))
    elif path.is_file():
        shutil.copyfile(path, target)
        target.chmod(file_mode(path.stat().st_mode))


def _link(root: Path, path: Path) -> str:
    """The link's text, relative to its own directory so that it holds in the image too."""
    text = str(path.readlink())
    destination = os.path.normpath(path.parent / text)
    if not path.resolve().is_relative_to(root) or not Path(destination).is_relative_to(root):
        raise SourceError(
            "a symbolic link leaves the source",
            where=str(path.relative_to(root)),
            found=text,
            expected="a link to a file of the same repository",
            next_step="replace the link by the file",
        )
    return os.path.relpath(destination, path.parent)
