"""Programs on PATH and their versions."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from packaging.version import Version


def on_path(name: str, environ: Mapping[str, str], *, exclude: Path) -> tuple[Path, ...]:
    """Every executable called `name` in PATH's order, each file once.

    Args:
        name: the program.
        environ: its ``PATH`` is searched.
        exclude: a folder to leave out: our own links, or a run would find its last choice.
    """
    found: dict[Path, Path] = {}
    for folder in environ.get("PATH", "").split(os.pathsep):
        candidate = Path(folder or ".") / name
        if candidate.parent.resolve() == exclude.resolve():
            continue
        if candidate.is_file() and os.access(candidate, os.X_OK):
            found.setdefault(candidate.resolve(), candidate.absolute())
    return tuple(found.values())


def parse_version(text: str) -> Version | None:
    """The first ``1.2`` or ``1.2.3`` in `text`, which may be more than a version."""
    match = re.search(r"\d+\.\d+(\.\d+)?", text)
    return Version(match[0]) if match else None


def show(version: Version | None) -> str:
    """``1.2.3``."""
    return str(version or "unknown")


def link(path: Path, target: Path) -> None:
    """Make `path` a symbolic link to `target`, replacing what was there."""
    if path.is_symlink() and path.readlink() == target:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(path)
