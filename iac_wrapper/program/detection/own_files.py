"""The Python files of a checkout: which one a dotted name stands for, and what is in it."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from iac_wrapper.program.detection.origins import OWN_FILE, Origins
from iac_wrapper.program.python_project import inside

MAX_BYTES = 500_000
"""Larger files are generated."""


@dataclass(frozen=True)
class ParsedFile:
    """A file that Python can read: its tree, and where its names come from."""

    tree: ast.Module
    origins: Origins


@dataclass(frozen=True)
class OwnFiles:
    """Those of the checkout `root`, whose top-level modules are `local`; each file is parsed,
    and each name and each folder looked up, once."""

    root: Path
    local: frozenset[str]
    _parsed: dict[str, ParsedFile | None] = field(default_factory=dict)
    _places: dict[tuple[str, str], tuple[str, list[str]]] = field(default_factory=dict)
    _paths: dict[str, Path | None] = field(default_factory=dict)
    _names: dict[str, frozenset[str]] = field(default_factory=dict)

    def path(self, relative: str) -> Path | None:
        """What `inside` says of the file `relative`."""
        if relative not in self._paths:
            folder, _, name = relative.rpartition("/")
            is_there = name in self._listed(folder)
            self._paths[relative] = inside(self.root, relative) if is_there else None
        return self._paths[relative]

    def _listed(self, folder: str) -> frozenset[str]:
        if folder not in self._names:
            self._names[folder] = _names(self.root / folder)
        return self._names[folder]

    def parsed(self, relative: str) -> ParsedFile | None:
        """The file `relative`; None if there is none, or Python cannot read it.

        Raises:
            RecursionError: it is nested too deeply.
        """
        if relative not in self._parsed:
            self._parsed[relative] = self._parse(relative) if relative else None
        return self._parsed[relative]

    def located(self, dotted: str, by: str) -> tuple[str, list[str]]:
        """The file that a name of `OWN_FILE` in the file `by` is from, and its name there."""
        key = dotted, by
        if key not in self._places:
            self._places[key] = self._located(dotted, by)
        return self._places[key]

    def module_file(
        self, parts: list[str], near: str, *, main: bool = False
    ) -> tuple[str, list[str]]:
        """The file of the longest part of a dotted name that is a module, and what is left of it.

        Args:
            parts: the name's.
            near: a folder to look in first, relative to the root.
            main: whether it is run as ``python -m``, which runs ``__main__`` of a package.
        """
        ends = (".py", "/__main__.py") if main else (".py", "/__init__.py")
        for length in range(len(parts), 0, -1):
            for folder in dict.fromkeys((near, "", "src")):
                path = PurePosixPath(folder, *parts[:length])
                for end in ends:
                    if self.path(f"{path}{end}"):
                        return f"{path}{end}", parts[length:]
        return "", []

    def _located(self, dotted: str, by: str) -> tuple[str, list[str]]:
        written = dotted.removeprefix(OWN_FILE)
        name = written.lstrip(".")
        parts = [part.removesuffix("()") for part in name.split(".") if part]
        folder = PurePosixPath(by).parent
        for _ in range(len(written) - len(name) - 1):
            folder = folder.parent
        found, rest = self.module_file(parts, str(folder))
        if not found and written != name:  # ``from . import x``, where x is in __init__
            return f"{folder}/__init__.py", parts
        return found, rest

    def _parse(self, relative: str) -> ParsedFile | None:
        path = self.path(relative)
        if path is None or path.stat().st_size > MAX_BYTES:
            return None
        try:
            tree = ast.parse(path.read_bytes(), filename=path.name)
        except (SyntaxError, ValueError, MemoryError):
            return None
        beside = frozenset(p.stem for p in path.parent.iterdir()) - {path.stem}
        return ParsedFile(tree, Origins(tree, self.local | beside))


def _names(folder: Path) -> frozenset[str]:
    try:
        return frozenset(path.name for path in folder.iterdir())
    except (OSError, ValueError):  # no folder, or words that are no path
        return frozenset()


def module_name(relative: str) -> str:
    """The dotted name of a Python file seen from the root: ``src`` and ``__init__`` are no part."""
    parts = list(PurePosixPath(relative).with_suffix("").parts)
    if parts[0] == "src" and len(parts) > 1:
        del parts[0]
    if parts[-1] == "__init__" and len(parts) > 1:
        del parts[-1]
    return ".".join(parts)
