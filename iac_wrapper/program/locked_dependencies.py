"""From a lock to what is installed: by uv where it is its own, else by what the lock pins."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from iac_wrapper.errors import SourceError
from iac_wrapper.program.dependency_plan import Dependencies
from iac_wrapper.program.dependency_project import Project, parsed
from iac_wrapper.program.locks import pdm, pipfile, poetry, pylock, uv
from iac_wrapper.program.locks.names import canonical
from iac_wrapper.program.locks.pins import Locked
from iac_wrapper.program.locks.selection import Selection, select
from iac_wrapper.program.python_project import PYPROJECT, inside, read_text, strings, table
from iac_wrapper.program.requirements import BEST_OF_ALL

WRITTEN = "requirements.txt"
"""The name of a requirements file of ours."""

_SYNC = ("sync", "--frozen", "--no-dev")


@dataclass(frozen=True)
class Reading:
    """What a lock has installed; `stale` says how it differs from its project, if it does."""

    name: str
    dependencies: Dependencies
    stale: str = ""


@dataclass(frozen=True)
class Lock:
    """A kind of lock: the command that writes it, whether a project has it and uses its tool."""

    command: str
    is_there: Callable[[Project], bool]
    is_own: Callable[[Project], bool]


def _of_tool(tool: str) -> Callable[[Project], bool]:
    def is_own(project: Project) -> bool:
        backend = str(table(project.pyproject, "build-system").get("build-backend") or "")
        return tool in table(project.pyproject, "tool") or backend.startswith(tool)

    return is_own


def _is_there(name: str) -> Callable[[Project], bool]:
    def is_there(project: Project) -> bool:
        return bool(inside(project.root, name) and inside(project.root, PYPROJECT))

    return is_there


LOCKS = {
    uv.LOCK: Lock("uv lock", lambda project: uv_root(project) is not None, _of_tool("uv")),
    poetry.LOCK: Lock("poetry lock", _is_there(poetry.LOCK), _of_tool("poetry")),
    pdm.LOCK: Lock("pdm lock", _is_there(pdm.LOCK), _of_tool("pdm")),
    pipfile.LOCK: Lock(
        "pipenv lock", lambda project: bool(inside(project.root, pipfile.LOCK)), lambda _: True
    ),
}
"""By file name, the better one first where a project has two of tools that it does not name."""


def uv_root(project: Project) -> str | None:
    """The folder, relative to the source, whose uv.lock has this project; None if none has."""
    if inside(project.root, uv.LOCK):
        stated = "project" in project.pyproject or table(
            project.pyproject, "tool", "uv", "workspace"
        )
        return project.folder if stated else None
    if "project" not in project.pyproject or project.folder == ".":
        return None
    for parent in PurePosixPath(project.folder).parents:
        folder = project.source / parent
        if inside(project.source, str(parent / uv.LOCK)):
            text = read_text(folder, uv.LOCK) or ""
            local = uv.local_packages(parsed(text, str(parent / uv.LOCK)))
            name = canonical(uv.member_name(project.pyproject))
            own = posixpath.relpath(project.folder, str(parent))
            return str(parent) if local.get(name) == own else None
    return None


def read_lock(project: Project, name: str, asked: Collection[str] = ()) -> Reading:
    """What the lock `name` has installed, with the groups and extras that are asked for.

    Raises:
        SourceError: it cannot be read, or has no such group or extra.
    """
    if name == uv.LOCK:
        return _uv(project, asked)
    locked = _locked(project, name, asked)
    written = {WRITTEN: locked.requirements(name)} if _on_index(locked) else {}
    best = BEST_OF_ALL if locked.own_indexes else ()
    paths = [path if path.startswith(".") else f"./{path}" for path in locked.paths]
    paths += ["."] if locked.builds_project else []
    also = ", then the project" if locked.builds_project else ""
    stated = pipfile.PIPFILE if name == pipfile.LOCK else PYPROJECT
    outside = [posixpath.join(project.folder, path) for path in locked.paths]
    dependencies = Dependencies(
        f"{name}{also}",
        early=("pip", "install", "--no-deps", *best, "-r", WRITTEN) if written else (),
        late=("pip", "install", "--no-deps", *paths) if paths else (),
        sources=(name, stated),
        written=written,
        beside=project.beside(outside, ".") if outside else None,
        notes=locked.notes,
    )
    return Reading(name, dependencies, locked.stale)


def _on_index(locked: Locked) -> bool:
    return any(not pin.path for pin in locked.pins)


def _locked(project: Project, name: str, asked: Collection[str]) -> Locked:
    try:
        if name == pipfile.LOCK:
            stated = project.toml(pipfile.PIPFILE)
            chosen = select(asked, pipfile.categories(stated), (), name)
            return pipfile.read(stated, _json(project.root, name), chosen)
        lock = project.toml(name)
        if name == poetry.LOCK:
            return poetry.read(project.root, project.pyproject, lock, project.select(asked, name))
        if name == pdm.LOCK:
            return pdm.read(project.pyproject, lock, project.select(asked, name))
        return pylock.read(lock, _of_pylock(lock, asked, name))
    except SourceError as error:
        error.where = error.where or name
        raise


def _of_pylock(lock: dict[str, Any], asked: Collection[str], name: str) -> Selection:
    groups, extras = strings(lock.get("dependency-groups")), strings(lock.get("extras"))
    return select(asked, groups, extras, name)


def _json(root: Path, name: str) -> dict[str, Any]:
    try:
        found = json.loads(read_text(root, name) or "")
    except (ValueError, RecursionError) as error:
        raise SourceError(
            "not valid JSON",
            where=name,
            found=str(error)[:200],
            next_step="write the lock anew with its tool, and commit it",
        ) from None
    return found if isinstance(found, dict) else {}


def _uv(project: Project, asked: Collection[str]) -> Reading:
    """uv's own lock: its project's, or that of the workspace which the folder is a member of."""
    at = uv_root(project)
    assert at is not None  # noqa: S101 - whoever calls has seen that it is there
    where = posixpath.normpath(posixpath.join(at, uv.LOCK))
    lock = parsed(read_text(project.source, where) or "", where)
    chosen = project.select(asked, uv.LOCK)
    which = (
        *(word for group in chosen.groups for word in ("--group", group)),
        *(word for extra in chosen.extras for word in ("--extra", extra)),
    )
    virtual = "project" not in project.pyproject
    name = uv.member_name(project.pyproject)
    whole = ("--all-packages",) if virtual else ()
    local = uv.local_packages(lock)
    folders = tuple(local.values()) if virtual else uv.needed_folders(lock, name)
    built = [folder for folder in folders if folder != posixpath.relpath(project.folder, at)]
    late = (*_SYNC, *which, *whole, "--no-editable")
    is_member = at != project.folder
    beside = None
    if is_member or any(folder.startswith("..") for folder in folders):
        files = [PYPROJECT, uv.LOCK, *(f"{f}/{PYPROJECT}" for f in local.values())]
        there = [f for f in files if (project.source / at / f).is_file()]
        beside = project.beside([posixpath.join(at, p) for p in (*there, *folders)], at)
    package = ("--package", name) if is_member else ()
    folder = at if beside else "."
    dependencies = Dependencies(
        f"{uv.LOCK} of the workspace, for its member {name}" if is_member else uv.LOCK,
        files=tuple(
            posixpath.normpath(posixpath.join(folder, name)) for name in (PYPROJECT, uv.LOCK)
        ),
        early=(*_SYNC, *which, *whole, *package, "--no-install-local"),
        late=late if built or "build-system" in project.pyproject else (),
        sources=(PYPROJECT, uv.LOCK),
        beside=beside,
    )
    return Reading(uv.LOCK, dependencies, uv.stale(project.pyproject, lock))
