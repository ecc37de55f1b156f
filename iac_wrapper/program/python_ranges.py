"""Which Pythons a project says that it runs with: requires-python and what was there before it.

Reads, never runs; knows nothing of what is available.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion

from iac_wrapper.errors import EntrypointError, SourceError
from iac_wrapper.program.inline_metadata import inline_metadata
from iac_wrapper.program.locked_wheels import WHEEL, is_for_linux, only_for
from iac_wrapper.program.locks import poetry_versions
from iac_wrapper.program.python_project import (
    PYPROJECT,
    read_pyproject,
    read_text,
    requirement_files,
    requirements_of,
    table,
)
from iac_wrapper.program.setup_files import setup_cfg, setup_py

_PATCHES = range(40)
"""Patch releases to try: a base knows its minor version only, the installer checks the rest."""

_LOCKS = (
    ("uv.lock", r'(?m)^requires-python = "([^"]+)"'),
    ("pdm.lock", r'(?m)^requires_python = "([^"]+)"'),
    ("pylock.toml", r'(?m)^requires-python = "([^"]+)"'),
    ("poetry.lock", r'(?ms)^\[metadata\]$.*^python-versions = "([^"]+)"'),
)
"""Where a lock file names its range: parsing all of a large one would take seconds."""


@dataclass(frozen=True)
class Range:
    """A range, where it stands, and the alternatives as which it is read.

    `wheel` is the file name of a wheel, if it is that which fits these Pythons alone.
    """

    where: str
    text: str
    alternatives: tuple[SpecifierSet, ...]
    wheel: str = ""

    @property
    def said(self) -> str:
        """As a person would look for it."""
        if self.wheel:
            return f"{self.wheel} in {self.where} is for Python {self.text}"
        return f"requires-python {self.text} in {self.where}"

    @property
    def edit(self) -> str:
        """What to change for another Python."""
        if self.wheel:
            return f"name a wheel for one of these in {self.where}, or the package by its version"
        return "widen the range in the repository"

    def allows(self, minor: str) -> bool:
        """Whether some patch release of `minor` is in it."""
        return any(self._patches(minor))

    def allows_all(self, minor: str) -> bool:
        """Whether every patch release of `minor` is in it."""
        return all(self._patches(minor))

    def _patches(self, minor: str) -> list[bool]:
        versions = [f"{minor}.{patch}" for patch in _PATCHES]
        return [
            any(spec.contains(version, prereleases=True) for spec in self.alternatives)
            for version in versions
        ]


_WHEEL_FILE = re.compile(r"[^\s\"'#;,=@/]+\.whl")


def python_ranges(root: Path, script: str | None) -> tuple[Range, ...]:
    """Every range that is stated for the checkout `root`, each once; all of them hold.

    Args:
        root: the checkout's directory.
        script: the Python file that is run; if it states a range of its own (PEP 723), that alone
            counts, as only its own requirements are installed.

    Raises:
        EntrypointError: one is no range.
        SourceError: pyproject.toml is not TOML.
    """
    stated = inline_metadata(root, script).get("requires-python") if script else None
    if script and isinstance(stated, str):
        return (_standard(script, stated),)
    found = [*_of_project(root), *_of_setuptools(root), *_of_locks(root), *_of_wheels(root)]
    return tuple({one.alternatives: one for one in reversed(found)}.values())[::-1]


def _of_project(root: Path) -> Iterator[Range]:
    pyproject = read_pyproject(root)
    text = table(pyproject, "project").get("requires-python")
    if isinstance(text, str):
        is_poetry = "poetry" in str(table(pyproject, "build-system").get("build-backend"))
        yield (_poetry if is_poetry else _standard)(PYPROJECT, text)
    text = table(pyproject, "tool", "poetry", "dependencies").get("python")
    if isinstance(text, dict):
        text = text.get("version")
    if isinstance(text, str):
        yield _poetry(PYPROJECT, text)


def _of_setuptools(root: Path) -> Iterator[Range]:
    if text := setup_cfg(root).get("options", "python_requires", fallback="").strip():
        yield _standard("setup.cfg", text)
    if text := _in_setup_py(root):
        yield _standard("setup.py", text)


def _in_setup_py(root: Path) -> str:
    """What `python_requires` is in the call of `setup`, if it is written out."""
    tree = setup_py(root, "python_requires")
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    for word in (word for call in calls for word in call.keywords):
        if word.arg == "python_requires" and isinstance(word.value, ast.Constant):
            return str(word.value.value or "")
    return ""


def _of_locks(root: Path) -> Iterator[Range]:
    for name, pattern in _LOCKS:
        if match := re.search(pattern, read_text(root, name) or ""):
            read = _poetry if name == "poetry.lock" else _standard
            yield read(name, match[1])


def _of_wheels(root: Path) -> Iterator[Range]:
    """Of the wheels that requirements and pyproject.toml name by address or path: what they fit."""
    for where in (*requirements_of(root), PYPROJECT):
        found: dict[str, dict[str, str]] = {}
        lines = [line for line in _lines(root, where) if "python_" not in line]
        for word in (word for line in lines for word in _WHEEL_FILE.findall(line)):
            if (wheel := WHEEL.search(f"/{word}")) and is_for_linux(wheel["platform"]):
                found.setdefault(wheel["name"].lower(), {})[word] = only_for(wheel)
        for pythons in found.values():
            if all(pythons.values()):
                specs = tuple(SpecifierSet(f"=={one}.*") for one in pythons.values())
                file = unquote(next(iter(pythons)))
                yield Range(where, " or ".join(pythons.values()), specs, file)


def _lines(root: Path, where: str) -> Sequence[str]:
    """Those of a file without its comments; of a requirements file, with those it includes."""
    if where == PYPROJECT:
        return [line.partition("#")[0] for line in (read_text(root, where) or "").splitlines()]
    try:
        return requirement_files(root, where).lines
    except SourceError:  # said where it is installed from
        return ()


def _standard(where: str, text: str) -> Range:
    try:
        return Range(where, text, (SpecifierSet(text),))
    except InvalidSpecifier:
        raise _no_range(where, text) from None


def _poetry(where: str, text: str) -> Range:
    """Poetry's own notation, in which a version of Python is all of its patch releases."""
    try:
        return Range(where, text, poetry_versions.parsed(text, bare="=={}.*"))
    except (InvalidSpecifier, InvalidVersion):
        raise _no_range(where, text) from None


def _no_range(where: str, text: str) -> EntrypointError:
    return EntrypointError(
        "requires-python is not a version range",
        where=where,
        found=repr(text),
        expected='a range such as ">=3.11"',
        next_step="correct it in the repository",
    )
