"""A checkout as detection sees it: its folder, what it asks for, and which modules are its own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from iac_wrapper.program.detection import python_source
from iac_wrapper.program.detection.python_files import python_files
from iac_wrapper.program.detection.python_source import PythonSource
from iac_wrapper.program.python_project import declared_packages, inside

MANAGE = "manage.py"
"""Django's command: its folder is where a project's imports start."""


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
        found = []
        for relative in python_files(self.root):
            path = inside(self.root, relative)
            if path is None or self._is_of_another(relative):
                continue
            if words.search(relative.encode()) or words.search(path.read_bytes()):
                found.append(relative)
        return found

    def _is_of_another(self, relative: str) -> bool:
        """Whether a file belongs to a Django project in a folder: its imports start from there."""
        folders = PurePosixPath(relative).parents
        return any(f.name and inside(self.root, f"{f}/{MANAGE}") for f in folders)

    def source(self, relative: str) -> PythonSource | None:
        """What the Python file `relative` does, None without the file."""
        path = inside(self.root, relative)
        if path is None:
            return None
        beside = frozenset(p.stem for p in path.parent.glob("*.py"))
        return python_source.read_source(path, self.local | beside)
