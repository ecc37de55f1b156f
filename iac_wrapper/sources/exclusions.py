"""What of a local folder is never part of a source, and which of that a program may miss."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Collection, Iterator
from pathlib import Path, PurePath

from iac_wrapper.model.omission import Omission

_MISSED = (".env", "node_modules", "*.py[cod]", "*.egg-info")
"""What a program may miss: each one is said, wherever it lies."""

JUNK = (
    ".git",
    ".hg",
    ".svn",
    ".iac",
    ".terraform",
    "cdktf.out",
    ".venv",
    "venv",
    "__pycache__",
    ".pytest_cache",
    ".mypy_cache",
    ".ruff_cache",
    ".tox",
    ".nox",
    ".idea",
    ".DS_Store",
    *_MISSED,
)
"""What is never part of a local source, unless git tracks it. What is not `_MISSED` makes itself
anew, or is of use to other tools only."""


def is_junk(name: str) -> bool:
    """Whether a file or folder of this name is never part of a local source."""
    return _fits(name, JUNK)


def junk(root: Path) -> Iterator[str]:
    """The paths below `root` that are junk, relative to it; what lies in such a folder is none."""
    for folder, directories, names in os.walk(root):
        here = Path(folder).relative_to(root)
        yield from (str(here / name) for name in (*directories, *names) if is_junk(name))
        directories[:] = [name for name in directories if not is_junk(name)]


def left_out(
    source: Path, there: Collection[str], ignored: Collection[str], known: Collection[str]
) -> Iterator[Omission]:
    """What a copy lacks and a program may miss: known kinds of `ignored`, and empty folders.

    Args:
        source: the folder that is copied.
        there: relative paths of what is in the copy.
        ignored: relative paths that are no part of a source; of a folder, its own path alone.
        known: relative paths of folders that are not looked into.
    """
    for name in ignored:
        if _fits(PurePath(name).name, _MISSED) and name not in there:
            yield Omission("own", name)
    closed = {*ignored, *known}
    for folder, directories, names in os.walk(source):
        here = Path(folder).relative_to(source)
        if not directories and not names and here.name:
            yield Omission("empty", str(here))
        open_ones = (name for name in directories if not is_junk(name))
        directories[:] = [name for name in open_ones if str(here / name) not in closed]


def _fits(name: str, patterns: Collection[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
