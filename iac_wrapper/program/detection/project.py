"""A checkout as detection sees it: its folder, what it asks for, and which modules are its own."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath

from iac_wrapper.program.detection import python_source
from iac_wrapper.program.detection.followed import Follower
from iac_wrapper.program.detection.python_files import python_files
from iac_wrapper.program.detection.python_source import PythonSource
from iac_wrapper.program.detection.web_objects import IMPORTERS
from iac_wrapper.program.python_project import declared_packages, inside

MANAGE = "manage.py"
"""Django's command: its folder is where a project's imports start."""

_KEPT_BYTES = 100_000
"""Larger files are read anew for each question."""


@dataclass(frozen=True)
class Project:
    """The checkout `root`; only read."""

    root: Path

    @cached_property
    def declared(self) -> frozenset[str]:
        """Canonical names of the packages that it asks for."""
        return declared_packages(self.root)

    @cached_property
    def local(self) -> frozenset[str]:
        """Names of its top-level modules, those below ``src`` and beside them included."""
        places = [self.root, self.root / "src"]
        paths = [path for place in places if place.is_dir() for path in place.iterdir()]
        return frozenset(path.stem for path in paths if path.suffix == ".py" or path.is_dir())

    def files_with(self, words: re.Pattern[bytes]) -> list[str]:
        """Python files that may be programs and hold one of `words`: parsing costs far more."""
        return [
            relative
            for relative, path in self._files
            if words.search(relative.encode()) or words.search(self._text(relative, path))
        ]

    @cached_property
    def _files(self) -> list[tuple[str, Path]]:
        found = ((relative, inside(self.root, relative)) for relative in python_files(self.root))
        return [(r, path) for r, path in found if path and not self._is_of_another(r)]

    def _text(self, relative: str, path: Path) -> bytes:
        """What a file holds; read once, unless it is large."""
        text = self._texts.get(relative)
        if text is None:
            text = path.read_bytes()
            if len(text) <= _KEPT_BYTES:
                self._texts[relative] = text
        return text

    @cached_property
    def _texts(self) -> dict[str, bytes]:
        return {}

    def _is_of_another(self, relative: str) -> bool:
        """Whether a file belongs to a Django project in a folder: its imports start from there."""
        folders = PurePosixPath(relative).parents
        return any(f.name and inside(self.root, f"{f}/{MANAGE}") for f in folders)

    def source(self, relative: str) -> PythonSource | None:
        """What the Python file `relative` does, None without the file."""
        path = inside(self.root, relative)
        if path is None:
            return None
        beside = frozenset(p.stem for p in path.parent.glob("*.py")) - {path.stem}
        found = python_source.read_source(path, self.local | beside)
        if any(app.kind != "unknown" for app in found.web_apps) or not found.may_follow:
            return found
        followed = self._follower.web_apps(relative)
        if followed and PurePosixPath(relative).stem not in IMPORTERS:
            followed = tuple(app for app in followed if app.imported is None)
        return replace(found, web_apps=followed) if followed else found

    @cached_property
    def _follower(self) -> Follower:
        return Follower(self.root, self.local)
