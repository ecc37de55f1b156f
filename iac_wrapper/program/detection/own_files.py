"""The Python files of a checkout: which one a dotted name stands for, and what is in it."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

from iac_wrapper.program.detection.old_syntax import explained
from iac_wrapper.program.detection.origins import OWN_FILE, Origins, imported_modules
from iac_wrapper.program.detection.steps import StepReader
from iac_wrapper.program.detection.syntax import walk
from iac_wrapper.program.python_project import inside

MAX_BYTES = 1_000_000
"""Larger files are generated; parsing one costs about a second a megabyte."""


@dataclass(frozen=True)
class ParsedFile:
    """A file that Python can read: its tree, all that is in it (`walk`), where its names come from,
    and what its statements lead to."""

    stem: str
    tree: ast.Module
    nodes: list[ast.AST]
    origins: Origins
    reader: StepReader

    @cached_property
    def imports(self) -> frozenset[str]:
        """What it imports, wherever in it, as `imported_modules` has it."""
        return imported_modules(self.nodes)


@dataclass(frozen=True)
class Fault:
    """Why a file cannot be read, and in which line if that is known."""

    text: str
    line: int | None = None


@dataclass(frozen=True)
class OwnFiles:
    """Those of the checkout `root`; each file is parsed, and each name and each folder looked up,
    once."""

    root: Path
    _read: dict[str, ParsedFile | Fault | None] = field(default_factory=dict)
    _places: dict[tuple[str, str], tuple[str, list[str]]] = field(default_factory=dict)
    _paths: dict[str, Path | None] = field(default_factory=dict)
    _names: dict[str, frozenset[str]] = field(default_factory=dict)
    _modules: dict[Path, frozenset[str]] = field(default_factory=dict)

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
        """The file `relative`; None if there is none, or Python cannot read it."""
        found = self.read(relative)
        return None if isinstance(found, Fault) else found

    def read(self, relative: str) -> ParsedFile | Fault | None:
        """The same, or why Python cannot read it."""
        if relative not in self._read:
            path = self.path(relative) if relative else None
            self._read[relative] = self._parse(path) if path else None
        return self._read[relative]

    def is_hidden(self, relative: str) -> bool:
        """Whether a package beside the file has its name: an import finds that one."""
        return self.path(f"{relative.removesuffix('.py')}/__init__.py") is not None

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
        ends = ("/__main__.py", ".py") if main else ("/__init__.py", ".py")
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

    @cached_property
    def _top(self) -> frozenset[str]:
        """Names of the top-level modules, those below ``src`` included."""
        return self._beside(self.root) | self._beside(self.root / "src")

    def _beside(self, folder: Path) -> frozenset[str]:
        if folder not in self._modules:
            self._modules[folder] = _modules(folder)
        return self._modules[folder]

    def _parse(self, path: Path) -> ParsedFile | Fault:
        if path.stat().st_size > MAX_BYTES:
            return Fault(f"larger than {MAX_BYTES} bytes")
        try:
            tree = ast.parse(path.read_bytes(), filename=path.name)
        except SyntaxError as error:
            return Fault(explained(error), error.lineno)
        except (ValueError, RecursionError, MemoryError) as error:
            return Fault(str(error) or type(error).__name__)
        nodes = walk(tree)
        origins = Origins(nodes, self._top | (self._beside(path.parent) - {path.stem}))
        return ParsedFile(path.stem, tree, nodes, origins, StepReader(origins))


def _names(folder: Path) -> frozenset[str]:
    try:
        return frozenset(path.name for path in folder.iterdir())
    except (OSError, ValueError):  # no folder, or words that are no path
        return frozenset()


def _modules(folder: Path) -> frozenset[str]:
    """Names of what can be imported where `folder` is on the path."""
    paths = folder.iterdir() if folder.is_dir() else ()
    return frozenset(path.stem for path in paths if path.suffix == ".py" or path.is_dir())


def module_name(relative: str) -> str:
    """The dotted name of a Python file seen from the root: ``src`` and ``__init__`` are no part."""
    parts = list(PurePosixPath(relative).with_suffix("").parts)
    if parts[0] == "src" and len(parts) > 1:
        del parts[0]
    if parts[-1] == "__init__" and len(parts) > 1:
        del parts[-1]
    return ".".join(parts)
