"""Folders of a checkout that are projects of their own: a slug with `#:folder` deploys one."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from iac_wrapper.errors import ConfigError
from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.model.slug import Slug
from iac_wrapper.program.detection.build_folder import build_folder
from iac_wrapper.program.detection.markers import (
    DOCKERFILE,
    MANAGE,
    Marker,
    language_marker,
    python_marker,
)
from iac_wrapper.program.detection.python_files import may_hold_programs
from iac_wrapper.program.python_project import inside, read_text

_IMPORT = re.compile(r"^(?:from|import)[ \t]+(\w+)", re.M)

_DEPTH = 2
"""How deep they lie at most: ``services/api``."""

_MAX_FOLDERS = 300
"""How many folders are looked at: half a dozen look-ups each."""


@dataclass(frozen=True)
class Folder:
    """A folder of the checkout, `path` relative to it, with the file that makes it a project."""

    path: str
    marker: Marker

    @property
    def is_python(self) -> bool:
        """Whether its program can be run without a Dockerfile."""
        return self.marker.language == "Python"

    @property
    def is_image(self) -> bool:
        """Whether nothing but a Dockerfile says what it is."""
        return self.marker.file == DOCKERFILE


def find_folders(root: Path) -> tuple[Folder, ...]:
    """The folders nearest to the root that are projects; what lies below one is part of it."""
    found: list[Folder] = []
    level = [root]
    for _ in range(_DEPTH):
        inner = [path for folder in level for path in _below(folder)][:_MAX_FOLDERS]
        markers = {path: _marker(root, path) for path in inner}
        found += [
            Folder(path.relative_to(root).as_posix(), marker)
            for path, marker in markers.items()
            if marker
        ]
        level = [path for path, marker in markers.items() if not marker]
    if any(folder.is_python for folder in found) or not python_marker(root):
        found += _called_packages(root)
    return tuple(sorted(found, key=lambda each: each.path))


def _called_packages(root: Path) -> Iterator[Folder]:
    """Folders at the root that have an ``__init__.py`` and yet are projects, as others beside them:
    with requirements, and with imports that start in them."""
    for folder in _below(root):
        marker = python_marker(folder) if inside(folder, "__init__.py") else None
        if marker and marker.file != MANAGE and _starts_imports(root, folder):
            yield Folder(folder.name, marker)


def _starts_imports(root: Path, folder: Path) -> bool:
    """Whether a file in it, or in a folder of it, imports what lies in it by a bare name."""
    paths = (path.relative_to(folder) for way in ("*.py", "*/*.py") for path in folder.glob(way))
    texts = (read_text(folder, path.as_posix()) or "" for path in paths)
    names = {name for text in texts for name in _IMPORT.findall(text)}
    return any(_is_module(folder, name) and not _is_module(root, name) for name in names)


def _is_module(folder: Path, name: str) -> bool:
    return inside(folder, f"{name}.py") is not None or (folder / name).is_dir()


def _below(folder: Path) -> Iterator[Path]:
    """Folders in it that may be a project; a link is none."""
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink() and may_hold_programs(path.name):
            yield path


def _marker(root: Path, folder: Path) -> Marker | None:
    """A package is no project of its own, whatever requirements lie in it: its imports start above.

    A Dockerfile counts beside other files, if what it copies lies in its folder or at the root.
    """
    python = python_marker(folder)
    if python and (python.file == MANAGE or not inside(folder, "__init__.py")):
        return python
    if language := language_marker(folder):
        return language
    beside = [path for path in folder.iterdir() if path.name not in (DOCKERFILE, ".dockerignore")]
    is_built = build_folder(root, folder.relative_to(root).as_posix()) is not None
    if beside and not python and is_built:
        return Marker(DOCKERFILE, "an image")
    return None


def below(slug: str, folder: str) -> str:
    """The slug of a folder in the source that `slug` names."""
    try:
        parsed = Slug.parse(slug)
        return parsed.with_subdir(f"{parsed.subdir or ''}/{folder}".lstrip("/")).text
    except ConfigError:  # a folder that somebody named without ./
        return f"{slug}#:{folder}"


def label(slug: str) -> str:
    """What a slug calls its project; empty: nothing."""
    try:
        return Slug.parse(slug).label
    except ConfigError:
        return ""


def started_in(root: Path, folder: str, entrypoint: Entrypoint) -> Entrypoint:
    """What a folder runs, found as if the folder were the checkout, for the whole checkout.

    Args:
        root: the folder on disk.
        folder: the same, relative to the checkout.
        entrypoint: what was found.
    """
    if entrypoint.kind == "script":
        return replace(entrypoint, target=f"{folder}/{entrypoint.target}")
    names_files = any(inside(root, arg) for arg in entrypoint.args)
    if entrypoint.kind == "module" and (entrypoint.function or not names_files):
        return with_path(entrypoint, folder)
    line = entrypoint.target
    if entrypoint.kind != "shell":
        start = ("python", "-m") if entrypoint.kind == "module" else ()
        words = (*start, line, *entrypoint.args)
        line = "exec " + " ".join(w if "$PORT" in w else shlex.quote(w) for w in words)
    return replace(entrypoint, kind="shell", target=f"cd {shlex.quote(folder)} && {line}", args=())


def with_path(entrypoint: Entrypoint, folder: str) -> Entrypoint:
    """The same, with a folder of the checkout among those in which Python finds modules."""
    path = ("PYTHONPATH", f"/app/{folder}")
    return replace(entrypoint, variables=(*entrypoint.variables, path))
