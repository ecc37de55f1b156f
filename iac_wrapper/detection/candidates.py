"""The places where a repository keeps its program, in the order they are looked at."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from iac_wrapper.detection.candidate import MISSING, NO_TABLE, Candidate, judge
from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.python_project import PYPROJECT, inside, read_pyproject, table

_NOT_PROGRAMS = {
    "build",
    "dist",
    "docs",
    "doc",
    "env",
    "example",
    "examples",
    "node_modules",
    "scripts",
    "site-packages",
    "test",
    "tests",
    "venv",
}
"""Directories whose programs serve the project's developers, not its users."""

_NOT_ENTRYPOINTS = {"setup.py", "conftest.py", "noxfile.py", "fabfile.py", "tasks.py", "manage.py"}
"""Files with a guard that wait for a command; without one they print their usage and exit."""

_SCAN_DEPTH = 3
_SCAN_FILES = 500
"""Bounds of the scan: parsing a file costs about a millisecond."""

BINARY = "main"
"""The program of a repository that is not Python, at its root; /app/main in the image."""


def ranked(root: Path, declared: frozenset[str]) -> Iterator[Candidate]:
    """Python candidates at the places people agree on, best first, missing ones included."""
    yield judge(root, "__main__.py", module=None, declared=declared)
    yield judge(root, "main.py", module=None, declared=declared)
    yield from _scripts(root)
    yield from _packages(root, "", declared)
    yield judge(root, "app.py", module=None, declared=declared)
    yield from _packages(root, "src", declared)


def scan(root: Path, declared: frozenset[str]) -> Iterator[Candidate]:
    """Every other Python file that has a __main__ guard or a main(), the nearest to the root first.

    A file with a guard comes before one whose main() would have to be called for it.
    """
    found = [_scanned(root, relative, declared) for relative in _python_files(root)]
    usable = [c for c in found if c.entrypoint and _is_program(c)]
    yield from sorted(
        usable,
        key=lambda c: (c.name.count("/"), c.entrypoint is None or bool(c.entrypoint.function)),
    )


def binary(root: Path) -> Candidate:
    """The executable `main` at the root, for programs that are not Python."""
    path = inside(root, BINARY)
    if path is None:
        return Candidate("/app/main")
    if not path.stat().st_mode & 0o111:
        return Candidate(
            "/app/main", note="main is not executable: git update-index --chmod=+x main"
        )
    with path.open("rb") as file:
        head = file.read(4)
    if head != b"\x7fELF" and not head.startswith(b"#!"):
        return Candidate("/app/main", note="main is neither an ELF program nor a script with #!")
    reason = "main at the root is an executable file"
    return Candidate("/app/main", Entrypoint("binary", "/app/main", None, reason), reason)


def _scripts(root: Path) -> Iterator[Candidate]:
    """The first [project.scripts] entry; the others are its losers."""
    pyproject = read_pyproject(root)
    where = "[project.scripts]"
    scripts = table(pyproject, "project", "scripts")
    if not scripts:
        where = "[tool.poetry.scripts]"
        scripts = table(pyproject, "tool", "poetry", "scripts")
    if not scripts:
        yield Candidate("[project.scripts]", note=NO_TABLE if pyproject else MISSING)
    for position, (name, value) in enumerate(scripts.items()):
        label = f"{where} {name}"
        module, colon, function = str(value).split("[")[0].strip().partition(":")
        if not (colon and module and function):
            yield Candidate(label, note=f"{value!r} is not of the form module:function")
        elif position:
            yield Candidate(label, note="not the first script")
        else:
            reason = f"{label} is the first script in {PYPROJECT}"
            entrypoint = Entrypoint("module", module.strip(), function.strip(), reason)
            yield Candidate(label, entrypoint, reason)


def _packages(root: Path, parent: str, declared: frozenset[str]) -> Iterator[Candidate]:
    """``{package}/__main__.py`` below `parent`; the package named like the project first."""
    prefix = f"{parent}/" if parent else ""
    own = str(table(read_pyproject(root), "project").get("name", "")).lower().replace("-", "_")
    names = sorted(
        (path.parent.name for path in (root / parent).glob("*/__main__.py")),
        key=lambda name: (name.lower() != own, name),
    )
    programs = [name for name in names if _may_hold_programs(name) and name != "src"]
    for name in programs:
        yield judge(root, f"{prefix}{name}/__main__.py", module=name, declared=declared)
    if not programs:
        yield Candidate(f"{prefix}{{package}}/__main__.py")


def _may_hold_programs(directory: str) -> bool:
    return directory not in _NOT_PROGRAMS and not directory.startswith((".", "_"))


def _python_files(root: Path) -> list[str]:
    files: list[str] = []
    for folder, directories, names in os.walk(root):
        relative = PurePosixPath(Path(folder).relative_to(root).as_posix())
        deep = len(relative.parts) >= _SCAN_DEPTH
        directories[:] = [] if deep else sorted(filter(_may_hold_programs, directories))
        files.extend(
            str(relative / name)
            for name in sorted(names)
            if name.endswith(".py") and name not in _NOT_ENTRYPOINTS and "test_" not in name
        )
        if len(files) >= _SCAN_FILES:
            break
    return files[:_SCAN_FILES]


def _scanned(root: Path, relative: str, declared: frozenset[str]) -> Candidate:
    path = PurePosixPath(relative)
    parts = path.with_suffix("").parts
    packaged = len(parts) > 1 and (root / path.parent / "__init__.py").is_file()
    if parts[0] == "src":
        parts = parts[1:]
    return judge(root, relative, module=".".join(parts) if packaged else None, declared=declared)


def _is_program(candidate: Candidate) -> bool:
    """The scan takes no file that merely acts: any module with side effects does."""
    assert candidate.entrypoint is not None  # noqa: S101 - the caller filtered
    return bool(
        candidate.entrypoint.function or candidate.entrypoint.args
    ) or candidate.note.endswith("__main__ guard")
