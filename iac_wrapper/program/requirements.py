"""Requirements files: which of several is for production, and what of them uv has to be told.

uv reads them itself; this says where it and pip mean different things by a line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from iac_wrapper.program.python_project import (
    REQUIREMENTS,
    RequirementFiles,
    inside,
    needs_source,
    requirement_files,
)

_PREFERRED = (
    *("production", "prod", "deployment", "deploy", "server", "web", "app"),
    *("base", "common", "main", "core", "default", "requirements", "all"),
)
_BASE = ("base", "common")
_NEVER = frozenset(
    (
        *("dev", "devel", "develop", "development", "local", "debug", "test", "tests", "testing"),
        *("lint", "linting", "typing", "mypy", "style", "format", "doc", "docs", "documentation"),
        *("ci", "build", "bench", "benchmark", "benchmarks", "release", "publish", "examples"),
        *("optional", "extra", "extras", "constraints", "min", "minimal", "tools", "precommit"),
    )
)
_PATTERNS = ("requirements[-_.]*.txt", "*[-_.]requirements.txt", "requirements/*.txt")

BEST_OF_ALL = ("--index-strategy", "unsafe-best-match")
"""Of several indexes the best version of all of them, as pip takes it."""


def requirements_of(root: Path) -> tuple[str, ...]:
    """The requirements files to install from: requirements.txt, else by the names of the others.

    Files for development and tests are never among them. Empty if nothing is certain.
    """
    if inside(root, REQUIREMENTS):
        return (REQUIREMENTS,)
    found = {
        path.relative_to(root).as_posix(): _stem(path.relative_to(root).as_posix())
        for pattern in _PATTERNS
        for path in sorted(root.glob(pattern))
        if path.is_file()
    }
    usable = {
        name: stem
        for name, stem in found.items()
        if inside(root, name) and not _NEVER & {*re.split(r"[-_.]", stem)}
    }
    for word in _PREFERRED:
        if chosen := next((name for name, stem in usable.items() if stem == word), None):
            return (*_base_of(root, chosen, usable), chosen)
    only = next(iter(usable)) if len(usable) == 1 else None
    if only is None and inside(root, "requirements.in"):
        only = "requirements.in"
    return (only,) if only else ()


def options(lines: Iterable[str]) -> tuple[str, ...]:
    """What uv ignores in a file, or means another way than pip, as arguments of ``uv pip``."""
    said: list[str] = []
    for line in lines:
        word, _, value = line.replace("=", " ", 1).partition(" ")
        if word == "--pre":
            said += ["--prerelease", "allow"]
        elif word == "--trusted-host":
            said += ["--allow-insecure-host", value.strip()]
        elif word == "--require-hashes":
            said.append("--require-hashes")
        elif word == "--extra-index-url" and BEST_OF_ALL[1] not in said:
            said += BEST_OF_ALL
    return tuple(said)


def without_source(found: RequirementFiles) -> str | None:
    """The lines that can be installed before the source is there, as a file; None if that is not
    to be told apart: constraints, or wheels that lie in the source."""
    if found.missing or any(re.match(r"-c|--constraint", line) for line in found.lines):
        return None
    if any(re.match(r"(?:-f|--find-links)[\s=]*[./]", line) for line in found.lines):
        return None
    kept = [
        line
        for line in found.lines
        if not needs_source(line) and not re.match(r"-r|--requirement", line)
    ]
    return "".join(f"{line}\n" for line in kept)


def _stem(name: str) -> str:
    """``prod`` of requirements/prod.txt, requirements-prod.txt and prod-requirements.txt."""
    stem = name.rpartition("/")[2].removesuffix(".txt").lower()
    return re.sub(r"^requirements[-_.]|[-_.]requirements$", "", stem)


def _base_of(root: Path, chosen: str, usable: dict[str, str]) -> tuple[str, ...]:
    """What is for all environments, where the file for production does not include it."""
    included = requirement_files(root, chosen).files
    others = (name for name, stem in usable.items() if stem in _BASE and name != chosen)
    return tuple(name for name in others if name not in included)[:1]
