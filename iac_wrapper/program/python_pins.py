"""Which Python a repository wishes for in the files of version managers: wishes, not ranges.

`.python-version` (pyenv, uv), `runtime.txt` (buildpacks) and `.tool-versions` (asdf, mise). Knows
nothing of what is available.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from iac_wrapper.program.python_project import read_text

_VERSION = re.compile(r"(?:cpython-|python-?)?(\d+)\.(\d+)(\.\d+)?t?(?:[^\d.].*)?")


@dataclass(frozen=True)
class Pin:
    """One version: as it is written, and its minor (``3.12``; None if it names no such one)."""

    where: str
    text: str
    minor: str | None

    @property
    def has_patch(self) -> bool:
        """Whether it names a patch release, which a base image decides by itself."""
        return bool((match := _VERSION.fullmatch(self.text)) and match[3])


def python_pins(root: Path) -> tuple[Pin, ...]:
    """The wishes of the first of the files that has one, in order."""
    for where, lines in (
        (".python-version", _lines(root, ".python-version")),
        ("runtime.txt", _lines(root, "runtime.txt")),
        (".tool-versions", _tool_versions(root)),
    ):
        if pins := tuple(_pin(where, line) for line in lines):
            return pins
    return ()


def _lines(root: Path, name: str) -> Iterator[str]:
    """Lines without comments; pyenv takes several versions in a line, too."""
    for line in (read_text(root, name) or "").splitlines():
        yield from line.partition("#")[0].split()


def _tool_versions(root: Path) -> Iterator[str]:
    for line in (read_text(root, ".tool-versions") or "").splitlines():
        tool, *versions = line.partition("#")[0].split() or [""]
        if tool == "python":
            yield from versions


def _pin(where: str, text: str) -> Pin:
    match = _VERSION.fullmatch(text)
    return Pin(where, text, f"{match[1]}.{match[2]}" if match else None)
