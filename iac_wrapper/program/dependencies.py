"""Which of a checkout's statements its dependencies are installed from, and why.

A lock before ranges, a lock that fits before a stale one, and what `dependencies:` names before all
(decision 0037).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from iac_wrapper.errors import SourceError
from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.program.conda import conda_file, not_installed
from iac_wrapper.program.dependency_plan import Dependencies
from iac_wrapper.program.dependency_project import Project
from iac_wrapper.program.detection.project import Project as Code
from iac_wrapper.program.detection.requirements_below import requirements_below
from iac_wrapper.program.inline_metadata import inline_dependencies
from iac_wrapper.program.known_partners import partners
from iac_wrapper.program.locked_dependencies import LOCKS, Reading, read_lock, uv_root
from iac_wrapper.program.locks import pipfile, uv
from iac_wrapper.program.python_project import (
    PYPROJECT,
    declared_packages,
    inside,
    read_pyproject,
    requirement_files,
    requirements_of,
    table,
)
from iac_wrapper.program.requirement_names import is_for_developers
from iac_wrapper.program.space import space
from iac_wrapper.program.stated_dependencies import read_project, read_requirements
from iac_wrapper.program.undeclared import undeclared
from iac_wrapper.program.unread_files import unread_files

__all__ = ["Dependencies", "find_dependencies"]

_SETUP = ("setup.py", "setup.cfg")


def find_dependencies(
    root: Path,
    entrypoint: Entrypoint,
    *,
    asked: str | None = None,
    source: Path | None = None,
    code: Code | None = None,
) -> Dependencies:
    """What the checkout `root` wants installed to run `entrypoint`.

    Args:
        root: the folder that is deployed; only read.
        entrypoint: its program.
        asked: what `dependencies:` says, such as ``poetry.lock`` or ``pyproject.toml[web]``.
        source: the whole source that `root` lies in, None if it is `root`.
        code: what was read of its files already.

    Raises:
        SourceError: the project states its dependencies in a way that cannot be installed, or its
            lock is not of what it states.
    """
    project = Project(root, read_pyproject(root), entrypoint, source or root, bool(asked), code)
    found = _with_partners(project, _with_sdk(project, _find(project, asked)))
    read = {*found.files, *found.sources}
    usable = {*_locks(project), *requirements_of(root), *requirements_below(root)}
    notes = (
        *found.notes,
        *_optional(project, read),
        *unread_files(root, read, usable),
        *undeclared(project, found),
    )
    return replace(found, notes=notes)


def _find(project: Project, asked: str | None) -> Dependencies:
    root, entrypoint = project.root, project.entrypoint
    if entrypoint.kind == "binary":
        notes = ("`dependencies:` is not used: its program is no Python program",) if asked else ()
        return Dependencies("none: not a Python program", notes=notes)
    if asked:
        return _asked(project, asked)
    if entrypoint.kind == "script" and (inline := inline_dependencies(root, entrypoint.target)):
        return inline
    if locks := _locks(project):
        return _first_that_fits(project, locks)
    if files := _requirements(project):
        return read_requirements(project, files)
    return read_project(project) or _below(project) or _none(root)


def _with_sdk(project: Project, found: Dependencies) -> Dependencies:
    """With what a platform installs by itself, unless something names it."""
    its = space(project.root)
    is_pip = not found.early or found.early[:2] == ("pip", "install")
    if not its or project.is_asked or not is_pip or project.entrypoint.kind == "binary":
        return found
    if its.sdk in declared_packages(project.root, requirements_below(project.root)):
        return found
    note = f"{its.requirement} is installed as well: README.md names it, as a Space has it"
    early = (*(found.early or ("pip", "install")), its.requirement)
    return replace(found, early=early, notes=(*found.notes, note))


def _with_partners(project: Project, found: Dependencies) -> Dependencies:
    """With older versions of what the packages that it pins do not run with."""
    files = [name for name in found.files if name.endswith(".txt")]
    lines = [line for name in files for line in requirement_files(project.root, name).lines]
    is_plain = found.early[:2] == ("pip", "install") and not any("--hash" in one for one in lines)
    wanted = partners(lines) if is_plain else {}
    notes = (
        f"{one} is installed: {pin} does not run with newer ones" for one, pin in wanted.items()
    )
    return replace(found, early=(*found.early, *wanted), notes=(*found.notes, *notes))


def _optional(project: Project, read: Collection[str]) -> Iterator[str]:
    """Extras and groups that the program needs, then what is not installed though it may need it,
    and how it would be."""
    stated = project.file_of_extras
    file = next((name for name in (*_locks(project), stated) if name in read), None)
    if project.is_asked or not file:
        return
    for name in project.with_program():
        yield f"the extra {name} is installed: it has the program that is started"
    needed = [] if file.startswith("pylock.") else project.needed
    for one in needed:
        yield (
            f"{one.optional.label} is installed: {one.file} imports {one.module}, which no"
            f" other requirement brings; `dependencies: {file}` leaves it out"
        )
    chosen = {*project.with_program(), *(one.optional.name for one in needed)}
    names = (name for name in project.extras() if name not in chosen)
    if left := [name for name in names if not is_for_developers(name)]:
        yield (
            f"extras of {stated} are not installed: {', '.join(left)};"
            f" `dependencies: {file}[{left[0]}]` installs one"
        )


def _below(project: Project) -> Dependencies | None:
    """The only requirements.txt of a folder: what else could the program be installed from?"""
    files = requirements_below(project.root)
    if len(files) != 1 or conda_file(project.root):
        return None
    found = read_requirements(project, files)
    note = f"{files[0]} is installed from: the root of the repository has no requirements"
    return replace(found, notes=(*found.notes, note))


def _none(root: Path) -> Dependencies:
    if name := conda_file(root):
        raise not_installed(name)
    return Dependencies(f"none: no requirements.txt, {PYPROJECT} or setup.py")


def _requirements(project: Project) -> tuple[str, ...]:
    """requirements.txt; files of other names only where pyproject.toml states nothing."""
    files = requirements_of(project.root)
    stated = table(project.pyproject, "project").get("dependencies") or table(
        project.pyproject, "tool", "poetry", "dependencies"
    )
    return () if stated and files != ("requirements.txt",) else files


def _locks(project: Project) -> list[str]:
    """The locks that are there with what they lock, the one of the project's own tool first."""
    names = [name for name, lock in LOCKS.items() if lock.is_there(project)]
    names += [name for name in _pylocks(project.root) if name not in names]
    return sorted(names, key=lambda name: not (name in LOCKS and LOCKS[name].is_own(project)))


def _pylocks(root: Path) -> list[str]:
    """pylock.toml; without it the one for production, or the only one."""
    if inside(root, "pylock.toml"):
        return ["pylock.toml"]
    names = sorted(path.name for path in root.glob("pylock.*.toml") if inside(root, path.name))
    for word in ("production", "prod", "main", "base"):
        if f"pylock.{word}.toml" in names:
            return [f"pylock.{word}.toml"]
    others = [name for name in names if name.split(".")[1] not in ("dev", "test", "tests", "docs")]
    return others if len(others) == 1 else []


def _first_that_fits(project: Project, names: list[str]) -> Dependencies:
    """The first lock; where it is stale, another one that is not."""
    first = read_lock(project, names[0])
    if not first.stale:
        return first.dependencies
    for name in names[1:]:
        try:
            other = read_lock(project, name)
        except SourceError:
            continue
        if not other.stale:
            note = f"{names[0]} is not up to date ({first.stale}), so {name} is installed from"
            found = other.dependencies
            return replace(found, notes=(note, *found.notes))
    raise _stale(first)


def _asked(project: Project, asked: str) -> Dependencies:
    """What `dependencies:` names: a file, and groups or extras in brackets."""
    match = re.fullmatch(r"([^\[\]]+)(?:\[([^\[\]]+)\])?", asked)
    assert match  # noqa: S101 - the form of the key
    name, names = match[1], [one.strip() for one in (match[2] or "").split(",") if one.strip()]
    if not (inside(project.root, name) or (name == uv.LOCK and uv_root(project))):
        raise SourceError(
            "there is no such file to install from",
            where="dependencies",
            found=name,
            expected=", ".join(_statements(project)) or "a file of the repository",
            next_step="correct `dependencies:` of its entry, or delete it",
        )
    found: Dependencies | None = None
    if name == uv.LOCK and uv_root(project) is None:
        pass  # a lock without a project
    elif name in LOCKS or re.fullmatch(r"pylock(\.[^.]+)?\.toml", name):
        reading = read_lock(project, name, names)
        if reading.stale:
            raise _stale(reading)
        found = reading.dependencies
    elif name in {PYPROJECT, pipfile.PIPFILE, *_SETUP}:
        found = read_project(project, name, names)
    else:
        found = read_requirements(project, (name,), names)
    if found is None:
        raise SourceError(
            "the file states no dependencies",
            where="dependencies",
            found=name,
            expected=", ".join(_statements(project)) or "a file that does",
            next_step="correct `dependencies:` of its entry, or delete it",
        )
    return replace(found, reason=f"{found.reason}, as `dependencies:` says")


def _statements(project: Project) -> Iterable[str]:
    """The files that one could write."""
    files = (PYPROJECT, pipfile.PIPFILE, *_SETUP)
    there = (name for name in files if inside(project.root, name))
    requirements = (*requirements_of(project.root), *requirements_below(project.root))
    return dict.fromkeys((*_locks(project), *requirements, *there))


def _stale(reading: Reading) -> SourceError:
    other = pipfile.PIPFILE if reading.name == pipfile.LOCK else PYPROJECT
    command = LOCKS[reading.name].command
    return SourceError(
        f"{reading.name} is not up to date",
        where=reading.name,
        found=reading.stale,
        expected="a lock of what the project states now",
        next_step=f"run `{command}` and commit {reading.name}; or write `dependencies: {other}` in"
        " its entry to install the newest versions that are allowed",
    )
