"""What has to be installed before an app runs, as uv commands; says what it found and why.

Commands are values: nothing is installed here, and nothing here knows about images.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from iac_wrapper.errors import SourceError
from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.program.inline_metadata import inline_metadata
from iac_wrapper.program.python_project import (
    PYPROJECT,
    REQUIREMENTS,
    inside,
    read_pyproject,
    requirement_files,
    strings,
    table,
)
from iac_wrapper.program.unread_files import unread_files

_INSTALL_PROJECT = ("pip", "install", "--no-deps", ".")
_BUILT_FROM = (PYPROJECT, "setup.py", "setup.cfg")
_SYNC = ("sync", "--frozen", "--no-dev")


@dataclass(frozen=True)
class Dependencies:
    """How to fill the app's virtual environment.

    `early` are uv arguments that need `files` only (relative to the source), so their layer
    outlives a change of the code; `late` run in the source itself, where they read `sources`.
    `inline` is the text of a requirements file of its own, for a script that states its
    requirements in a comment.
    `reason` is one sentence fragment for people; `notes` are sentences on files that state
    dependencies and are not read.
    """

    reason: str
    files: tuple[str, ...] = ()
    early: tuple[str, ...] = ()
    late: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    inline: str = ""
    notes: tuple[str, ...] = ()


def find_dependencies(root: Path, entrypoint: Entrypoint) -> Dependencies:
    """What the checkout `root` wants installed to run `entrypoint`.

    Raises:
        SourceError: the project states its dependencies in a way that cannot be installed.
    """
    found = _find(root, entrypoint)
    return replace(found, notes=unread_files(root, {*found.files, *found.sources}))


def _find(root: Path, entrypoint: Entrypoint) -> Dependencies:
    if entrypoint.kind == "binary":
        return Dependencies("none: not a Python program")
    if entrypoint.kind == "script" and (wanted := inline_metadata(root, entrypoint.target)):
        lines = strings(wanted.get("dependencies"))
        reason = f"inline script metadata in {entrypoint.target}"
        return Dependencies(reason, inline="\n".join((*lines, "")) if lines else "")
    pyproject = read_pyproject(root)
    if inside(root, "uv.lock") and "project" in pyproject:
        return _uv_lock(pyproject)
    if inside(root, REQUIREMENTS):
        return _requirements(root, pyproject)
    return _project(pyproject) or _setup(root)


def _uv_lock(pyproject: dict[str, Any]) -> Dependencies:
    """uv's own lock; a workspace or a path needs the whole source, so there is no early layer."""
    found = Dependencies("uv.lock", late=(*_SYNC, "--no-editable"))
    if "workspace" in table(pyproject, "tool", "uv") or "path" in str(
        table(pyproject, "tool", "uv", "sources")
    ):
        return replace(
            found, reason="uv.lock, with members in the source", sources=(PYPROJECT, "uv.lock")
        )
    return replace(
        found,
        files=(PYPROJECT, "uv.lock"),
        early=(*_SYNC, "--no-install-project"),
        late=found.late if "build-system" in pyproject else (),
    )


def _requirements(root: Path, pyproject: dict[str, Any]) -> Dependencies:
    """requirements.txt, and the project itself if it can be built."""
    install = ("pip", "install", "-r", REQUIREMENTS)
    included = requirement_files(root, REQUIREMENTS)
    if included.need_source:
        reason = f"{REQUIREMENTS}, with paths into the source"
        return Dependencies(reason, late=install, sources=included.files)
    late = _INSTALL_PROJECT if _is_buildable(pyproject) else ()
    also = f", then the project of {PYPROJECT}" if late else ""
    return Dependencies(REQUIREMENTS + also, files=included.files, early=install, late=late)


def _project(pyproject: dict[str, Any]) -> Dependencies | None:
    project = table(pyproject, "project")
    static = "dependencies" not in strings(project.get("dynamic"))
    if project and static:
        late = _INSTALL_PROJECT if _is_buildable(pyproject) else ()
        return Dependencies(
            f"[project] of {PYPROJECT}" + (", built and installed" if late else ""),
            files=(PYPROJECT,),
            early=("pip", "install", "-r", PYPROJECT),
            late=late,
        )
    if "build-system" in pyproject:
        _refuse_poetry_without_package(pyproject)
        return Dependencies(
            f"{PYPROJECT}, built and installed by its build backend",
            late=("pip", "install", "."),
            sources=_BUILT_FROM,
        )
    return None


def _setup(root: Path) -> Dependencies:
    """A project from before pyproject.toml, or nothing at all."""
    for name in ("setup.py", "setup.cfg"):
        if inside(root, name):
            reason = f"{name}, built and installed"
            return Dependencies(reason, late=("pip", "install", "."), sources=_BUILT_FROM)
    _refuse_pipfile(root)
    return Dependencies(f"none: no {REQUIREMENTS}, {PYPROJECT} or setup.py")


def _is_buildable(pyproject: dict[str, Any]) -> bool:
    """Only a project that names its build backend is built, as uv sees it too.

    Without one setuptools would guess, and refuse every flat layout with two directories.
    """
    return "build-system" in pyproject and "project" in pyproject


def _refuse_poetry_without_package(pyproject: dict[str, Any]) -> None:
    if table(pyproject, "tool", "poetry").get("package-mode") is False:
        raise SourceError(
            "Poetry's package-mode is off, so its dependencies cannot be installed from outside",
            where=PYPROJECT,
            found="package-mode = false",
            expected=f"a [project] table with dependencies, or a {REQUIREMENTS}",
            next_step=f"poetry export --output {REQUIREMENTS}, and commit the file",
        )


def _refuse_pipfile(root: Path) -> None:
    if inside(root, "Pipfile"):
        raise SourceError(
            "Pipfile is not read",
            where="Pipfile",
            expected=f"{REQUIREMENTS} or {PYPROJECT}",
            next_step=f"pipenv requirements > {REQUIREMENTS}, and commit the file",
        )
