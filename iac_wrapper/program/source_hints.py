"""Reads what a source says beside its code: see `model.source_hints`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from iac_wrapper.model.source_hints import SourceHints, is_env_template

_MOST_FILES = 2000
_READ_BYTES = 1 << 16
"""Far more than an example of a `.env` file has."""

_LINE = re.compile(r"^[ \t#]*(?:export[ \t]+)?([A-Za-z_]\w*)[ \t]*=(.*)$", re.M)
"""An assignment, also one that is only shown in a comment."""


def source_hints(root: Path) -> SourceHints:
    """What the files in `root` and in its folders say; nothing where none can be read."""
    files = frozenset(islice(_files(root), _MOST_FILES))
    for path in sorted(filter(is_env_template, files), key=lambda path: (path.count("/"), path)):
        return SourceHints(files, path, dict(_LINE.findall(_text(root, path))))
    return SourceHints(files)


def _files(root: Path) -> Iterator[str]:
    """Relative paths of the files in the folder, and then of those in its folders."""
    folders = []
    for entry in _entries(root):
        if entry.is_dir(follow_symlinks=False):
            folders.append(entry.name)
        else:
            yield entry.name
    for folder in folders:
        for entry in _entries(root / folder):
            if not entry.is_dir(follow_symlinks=False):
                yield f"{folder}/{entry.name}"


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except OSError:
        return []


def _text(root: Path, path: str) -> str:
    file = root / path
    if not file.resolve().is_relative_to(root.resolve()) or not file.is_file():
        return ""
    with file.open("rb") as opened:
        return opened.read(_READ_BYTES).decode(errors="replace")
