"""Files by which a folder is known to be a project, and of which language."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from iac_wrapper.errors import SourceError
from iac_wrapper.program.python_project import (
    almost_requirements,
    has_setup,
    inside,
    read_pyproject,
    read_text,
    table,
)

DOCKERFILE = "Dockerfile"
PACKAGE_JSON = "package.json"

MANAGE = "manage.py"
"""Django's command: its folder is where a project's imports start."""

_REQUIREMENTS = (
    *("pyproject.toml", "requirements.txt", "Pipfile", "setup.py", "environment.yml"),
    "environment.yaml",
)

_LANGUAGES = {
    "go.mod": "Go",
    "Cargo.toml": "Rust",
    "deno.json": "Deno",
    "deno.jsonc": "Deno",
    PACKAGE_JSON: "Node.js",
    "pom.xml": "Java",
    "build.gradle": "Java",
    "build.gradle.kts": "Java or Kotlin",
    "build.sbt": "Scala",
    "project.clj": "Clojure",
    "Gemfile": "Ruby",
    "composer.json": "PHP",
    "index.php": "PHP",
    "mix.exs": "Elixir",
    "*.csproj": ".NET",
    "*.fsproj": ".NET",
    "*.sln": ".NET",
    "Package.swift": "Swift",
    "pubspec.yaml": "Dart",
    "stack.yaml": "Haskell",
    "*.cabal": "Haskell",
    "shard.yml": "Crystal",
    "gleam.toml": "Gleam",
    "rebar.config": "Erlang",
    "dune-project": "OCaml",
    "build.zig": "Zig",
    "CMakeLists.txt": "C or C++",
    "meson.build": "C or C++",
}
"""Files that a project of the language has in its folder."""


@dataclass(frozen=True)
class Marker:
    """A file, and what it says that its folder is."""

    file: str
    language: str

    def __str__(self) -> str:
        return f"{self.language}, {self.file}"


def python_marker(folder: Path) -> Marker | None:
    """The file that makes a folder a Python project: it has files of Python as well."""
    file = MANAGE if inside(folder, MANAGE) else requirements(folder)
    if file and any(True for depth in _DEPTHS for _ in folder.glob(depth)):
        return Marker(file, "Python")
    return None


def requirements(folder: Path) -> str:
    """The file by which a folder says what it needs of Python, empty if it does not."""
    names = (name for name in _REQUIREMENTS if has_setup(folder, name))
    named = next((n for n in names if n != "pyproject.toml" or _is_project(folder)), "")
    return named or next(iter(almost_requirements(folder, folder)), "")


_DEPTHS = ("*.py", "*/*.py", "*/*/*.py")


def _is_project(folder: Path) -> bool:
    """pyproject.toml often has nothing but the settings of a linter, or names a workspace."""
    try:
        pyproject = read_pyproject(folder)
    except SourceError:
        return True
    return bool(table(pyproject, "project") or table(pyproject, "tool", "poetry"))


def language_marker(folder: Path) -> Marker | None:
    """The file that makes a folder a project of another language."""
    return next(_language_markers(folder), None)


def _language_markers(folder: Path) -> Iterator[Marker]:
    names = sorted(path.name for path in folder.iterdir())
    for pattern, language in _LANGUAGES.items():
        for name in fnmatch.filter(names, pattern):
            if inside(folder, name) and (pattern != PACKAGE_JSON or _is_program(folder)):
                yield Marker(name, language)


def _is_program(folder: Path) -> bool:
    """package.json is often there for a linter, for assets or for a workspace only."""
    try:
        package = json.loads(read_text(folder, PACKAGE_JSON) or "")
    except (ValueError, RecursionError):
        return True
    if not isinstance(package, dict) or "workspaces" in package:
        return False
    starts = table(package, "scripts").keys() & {"start", "dev", "serve"}
    return bool(starts or table(package, "dependencies") or package.get("main"))
