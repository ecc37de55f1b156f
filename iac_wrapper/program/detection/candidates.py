"""The places where a repository keeps its program, in the order they are looked at."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import PurePosixPath

from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.model.options import Run
from iac_wrapper.program.detection.candidate import MISSING, Candidate, absent, judge, module_name
from iac_wrapper.program.detection.project import Project
from iac_wrapper.program.detection.python_files import may_hold_programs
from iac_wrapper.program.detection.served_objects import served_objects
from iac_wrapper.program.detection.web_objects import WORDS
from iac_wrapper.program.python_project import PYPROJECT, inside, read_pyproject, table

BINARY = "main"
"""The program of a repository that is not Python, at its root; /app/main in the image."""

_PROGRAM_WORDS = re.compile(rb"main|" + WORDS.pattern)

Rank = list[Candidate]
"""Candidates of equal right: more than one that could run is a question to the user."""


def ranked(project: Project) -> Iterator[Rank]:
    """Python candidates at the places people agree on, best first, missing ones included."""
    yield [judge(project, "__main__.py", module=None)]
    yield [judge(project, "main.py", module=None)]
    yield from ([script] for script in _scripts(project))
    yield from _packages(project, "")


def served(project: Project) -> Iterator[Rank]:
    """Web applications for which the requirements name a server."""
    for _, group in groupby(served_objects(project), key=lambda one: one[0]):
        yield [candidate for _, candidate in group]


def later(project: Project) -> Iterator[Rank]:
    """Places that come after a web application with a server, missing ones included."""
    yield [judge(project, "app.py", module=None)]
    yield from _packages(project, "src")


def scan(project: Project) -> Iterator[Rank]:
    """Every other Python file that has a __main__ guard or a main(), the nearest to the root first.

    A file with a guard comes before one whose main() would have to be called for it.
    """
    files = project.files_with(_PROGRAM_WORDS)
    found = [_scanned(project, relative) for relative in files]
    usable = sorted((c for c in found if c.entrypoint and _is_program(c)), key=_distance)
    for _, group in groupby(usable, key=_distance):
        yield list(group)


def _distance(candidate: Candidate) -> tuple[int, bool]:
    entrypoint = candidate.entrypoint
    return candidate.name.count("/"), entrypoint is None or bool(entrypoint.function)


def binary(project: Project) -> Candidate:
    """The executable `main` at the root, for programs that are not Python."""
    path = inside(project.root, BINARY)
    if path is None:
        return absent("/app/main")
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


def _scripts(project: Project) -> Iterator[Candidate]:
    """The first [project.scripts] entry; the others are its losers."""
    pyproject = read_pyproject(project.root)
    where = "[project.scripts]"
    scripts = table(pyproject, "project", "scripts")
    if not scripts:
        where = "[tool.poetry.scripts]"
        scripts = table(pyproject, "tool", "poetry", "scripts")
    if not scripts:
        note = f"no such table in {PYPROJECT}" if pyproject else MISSING
        yield absent("[project.scripts]", note)
    for position, (name, value) in enumerate(scripts.items()):
        label = f"{where} {name}"
        module, colon, function = (part.strip() for part in str(value).split("[")[0].partition(":"))
        if not (colon and module and function):
            yield Candidate(label, note=f"{value!r} is not of the form module:function")
        elif position:
            yield Candidate(label, note="not the first script")
        else:
            reason = f"{label} is the first script in {PYPROJECT}"
            run = run_of(project, module, function)
            entrypoint = Entrypoint("module", module, function, reason, run=run)
            yield Candidate(label, entrypoint, reason)


def run_of(project: Project, module: str, function: str) -> Run | None:
    """What calling `function` of a module of the checkout is."""
    base = module.replace(".", "/")
    for relative in (f"{p}{base}{end}" for p in ("", "src/") for end in (".py", "/__init__.py")):
        if source := project.source(relative):
            return source.functions.get(function)
    return None


def _packages(project: Project, parent: str) -> Iterator[Rank]:
    """``{package}/__main__.py`` below `parent`; the package named like the project first."""
    prefix = f"{parent}/" if parent else ""
    own = str(table(read_pyproject(project.root), "project").get("name", ""))
    names = sorted(path.parent.name for path in (project.root / parent).glob("*/__main__.py"))
    programs = [name for name in names if may_hold_programs(name) and name != "src"]
    named = [name for name in programs if name.lower() == own.lower().replace("-", "_")]
    for group in (named, [name for name in programs if name not in named]):
        judged = [judge(project, f"{prefix}{name}/__main__.py", module=name) for name in group]
        if judged:
            yield judged
    if not programs:
        yield [absent(f"{prefix}{{package}}/__main__.py")]


def _scanned(project: Project, relative: str) -> Candidate:
    path = PurePosixPath(relative)
    packaged = path.parent.name and (project.root / path.parent / "__init__.py").is_file()
    return judge(project, relative, module=module_name(relative) if packaged else None)


def _is_program(candidate: Candidate) -> bool:
    """The scan takes no file that merely acts: any module with side effects does."""
    assert candidate.entrypoint is not None  # noqa: S101 - the caller filtered
    entrypoint = candidate.entrypoint
    return candidate.guarded or bool(entrypoint.function or entrypoint.args)
