"""From requirements, pyproject.toml, Pipfile or setup.py to what is installed: ranges, no lock."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection

from iac_wrapper.errors import SourceError
from iac_wrapper.program.dependency_plan import Dependencies
from iac_wrapper.program.dependency_project import Project
from iac_wrapper.program.locked_dependencies import WRITTEN
from iac_wrapper.program.locks import pipfile, poetry_project
from iac_wrapper.program.locks.selection import Selection
from iac_wrapper.program.python_project import (
    PYPROJECT,
    RequirementFiles,
    has_setup,
    inside,
    needs_source,
    requirement_files,
    strings,
    table,
)
from iac_wrapper.program.requirements import options, without_source

_INSTALL_PROJECT = ("pip", "install", "--no-deps", ".")
_BUILT_FROM = (PYPROJECT, "setup.py", "setup.cfg")
_SETUP = _BUILT_FROM[1:]


def read_requirements(
    project: Project, names: tuple[str, ...], asked: Collection[str] = ()
) -> Dependencies:
    """Requirements files, and the project itself if it can be built.

    Raises:
        SourceError: a file is no text, a line of it is no requirement, or brackets are behind its
            name.
    """
    if asked:
        raise SourceError(
            "a requirements file has no groups",
            where="dependencies",
            found=f"{names[0]}[{','.join(asked)}]",
            expected="the name of the file alone",
            next_step="correct `dependencies:` of its entry",
        )
    found = _merged([requirement_files(project.root, name) for name in names])
    if found.unreadable:
        raise _unreadable(*next(iter(found.unreadable.items())))
    for name in found.missing:
        if re.fullmatch(r"[\w./-]+", name) and not name.startswith("..") and name not in names:
            raise _no_such_file(names[0], name)
    said = " and ".join(names)
    files = tuple(word for name in names for word in ("-r", name))
    install = ("pip", "install", *options(found.lines), *files)
    if found.need_source:
        return _with_source(project, found, said, install)
    late = _INSTALL_PROJECT if _is_buildable(project) else ()
    also = f", then the project of {PYPROJECT}" if late else ""
    return Dependencies(said + also, files=found.files, early=install, late=late)


def _unreadable(place: str, line: str) -> SourceError:
    is_of_conda = re.fullmatch(r"[^=\s]+=[^=\s]+=\S+", line)
    step = "correct that line, and commit the file"
    if is_of_conda:
        step = "conda printed this list: write it with `pip list --format=freeze`, and commit it"
    return SourceError(
        "the line is no requirement",
        where=place,
        found=line[:200],
        expected="a package with its versions, such as flask>=3, an address, or an option of pip",
        next_step=step,
    )


def _no_such_file(name: str, included: str) -> SourceError:
    return SourceError(
        "a file that it includes is not there",
        where=name,
        found=f"-r or -c {included}",
        expected="a file of the repository",
        next_step=f"add {included} to the repository, or delete that line",
    )


def _with_source(
    project: Project, found: RequirementFiles, said: str, install: tuple[str, ...]
) -> Dependencies:
    """Lines that point into the source come late, the others early where they can be told apart."""
    before = without_source(found)
    outside = [
        posixpath.normpath(posixpath.join(project.folder, path))
        for line in found.lines
        for path in re.findall(r"(?:^|[\s@:=])(\.\./[\w./-]+)", line)
    ]
    return Dependencies(
        f"{said}, with paths into the source",
        early=("pip", "install", *options(found.lines), "-r", WRITTEN) if before else (),
        late=install,
        sources=found.files,
        written={WRITTEN: before} if before else {},
        beside=project.beside(outside, ".") if outside else None,
    )


def _merged(parts: list[RequirementFiles]) -> RequirementFiles:
    return RequirementFiles(
        files=tuple(dict.fromkeys(file for part in parts for file in part.files)),
        lines=tuple(line for part in parts for line in part.lines),
        need_source=any(part.need_source for part in parts),
        missing=tuple(name for part in parts for name in part.missing),
        unreadable={place: line for part in parts for place, line in part.unreadable.items()},
    )


def read_project(
    project: Project, name: str | None = None, asked: Collection[str] = ()
) -> Dependencies | None:
    """What pyproject.toml states, else setup.py or setup.cfg, else a Pipfile; None without them.

    Args:
        project: the checkout.
        name: only this file.
        asked: groups and extras.

    Raises:
        SourceError: there is no such group or extra.
    """
    found = _pyproject(project, asked) if name in (None, PYPROJECT) else None
    if found is None and name in (None, *_SETUP):
        found = _setup(project, asked)
    if found is None and name in (None, pipfile.PIPFILE) and inside(project.root, "Pipfile"):
        found = _pipfile(project)
    return found


def _pyproject(project: Project, asked: Collection[str]) -> Dependencies | None:
    pyproject = project.pyproject
    stated = table(pyproject, "project")
    poetry = table(pyproject, "tool", "poetry")
    chosen = project.select(asked, PYPROJECT)
    if stated and "dependencies" not in strings(stated.get("dynamic")):
        return _project_table(project, chosen)
    if poetry.get("dependencies") or poetry.get("package-mode") is False:
        return _poetry(project, chosen)
    if "build-system" in pyproject:
        return _built(project, chosen)
    return None


def _project_table(project: Project, chosen: Selection) -> Dependencies:
    late = _INSTALL_PROJECT if _is_buildable(project) else ()
    local = _sources_in_the_checkout(project)
    install = ("pip", "install", "-r", PYPROJECT, *_arguments(chosen))
    reason = f"[project] of {PYPROJECT}{_said(chosen)}" + (", built and installed" if late else "")
    if local:
        outside = [posixpath.join(project.folder, path) for path in local]
        return Dependencies(
            f"{reason}, with paths into the source",
            late=(*install, ".") if late else install,
            sources=(PYPROJECT,),
            beside=project.beside(outside, "."),
        )
    return Dependencies(reason, files=(PYPROJECT,), early=install, late=late)


def _sources_in_the_checkout(project: Project) -> tuple[str, ...]:
    """The paths of ``[tool.uv.sources]``."""
    found = table(project.pyproject, "tool", "uv", "sources").values()
    entries = [entry for one in found for entry in (one if isinstance(one, list) else [one])]
    return tuple(str(one["path"]) for one in entries if isinstance(one, dict) and "path" in one)


def _poetry(project: Project, chosen: Selection) -> Dependencies:
    """Poetry's own tables: without its lock, the newest versions that they allow."""
    groups = poetry_project.groups(project.pyproject)
    optional = poetry_project.in_extras(project.pyproject, chosen.extras)
    wanted = [
        dependency
        for group in (poetry_project.MAIN, *chosen.groups)
        for dependency in groups.get(group, ())
        if not dependency.optional or dependency.name in optional
    ]
    indexes = poetry_project.indexes(project.pyproject)
    lines = [*(f"--extra-index-url {url}" for url in indexes)]
    lines += [dependency.line() for dependency in wanted if not dependency.path]
    paths = [f"./{dependency.path}" for dependency in wanted if dependency.path]
    is_package = poetry_project.is_package(project.root, project.pyproject)
    outside = [posixpath.join(project.folder, path) for path in paths]
    paths += ["."] if is_package else []
    also = ", built and installed" if is_package else ""
    return Dependencies(
        f"[tool.poetry] of {PYPROJECT}{_said(chosen)}{also}",
        early=("pip", "install", *options(lines), "-r", WRITTEN) if lines else (),
        late=("pip", "install", *(() if outside else ("--no-deps",)), *paths) if paths else (),
        sources=(PYPROJECT,),
        written={WRITTEN: "".join(f"{line}\n" for line in lines)} if lines else {},
        beside=project.beside(outside, ".") if outside else None,
    )


def _built(project: Project, chosen: Selection) -> Dependencies:
    """Only the build backend knows; setuptools may say in which files."""
    dynamic = table(project.pyproject, "tool", "setuptools", "dynamic", "dependencies")
    named = dynamic.get("file")
    files = (named,) if isinstance(named, str) else strings(named)
    read = _merged([requirement_files(project.root, name) for name in files])
    early: tuple[str, ...] = ()
    if files and not read.need_source:
        early = ("pip", "install", *options(read.lines), *(w for f in files for w in ("-r", f)))
    return Dependencies(
        f"{PYPROJECT}{_said(chosen)}, built and installed by its build backend",
        files=read.files if early else (),
        early=early,
        late=("pip", "install", f".{_in_brackets(chosen)}"),
        sources=_BUILT_FROM,
    )


def _setup(project: Project, asked: Collection[str]) -> Dependencies | None:
    """A project from before pyproject.toml."""
    for name in _SETUP:
        if has_setup(project.root, name):
            chosen = project.select(asked, name)
            return Dependencies(
                f"{name}{_said(chosen)}, built and installed",
                late=("pip", "install", f".{_in_brackets(chosen)}"),
                sources=_BUILT_FROM,
            )
    return None


def _pipfile(project: Project) -> Dependencies:
    """A Pipfile without its lock: the newest versions that it allows."""
    lines = pipfile.lines(project.toml(pipfile.PIPFILE))
    early_lines = [line for line in lines if not needs_source(line)]
    paths = tuple(word for line in lines if needs_source(line) for word in line.split())
    return Dependencies(
        f"{pipfile.PIPFILE}, by its ranges: there is no {pipfile.LOCK}",
        early=("pip", "install", *options(early_lines), "-r", WRITTEN) if early_lines else (),
        late=("pip", "install", *paths) if paths else (),
        sources=(pipfile.PIPFILE,),
        written={WRITTEN: "".join(f"{line}\n" for line in early_lines)} if early_lines else {},
    )


def _arguments(chosen: Selection) -> tuple[str, ...]:
    return (
        *(word for extra in chosen.extras for word in ("--extra", extra)),
        *(word for group in chosen.groups for word in ("--group", group)),
    )


def _in_brackets(chosen: Selection) -> str:
    return f"[{','.join(chosen.extras)}]" if chosen.extras else ""


def _said(chosen: Selection) -> str:
    return f" with {', '.join(chosen.names)}" if chosen.names else ""


def _is_buildable(project: Project) -> bool:
    """Only a project that names its build backend is built, as uv sees it too.

    Without one setuptools would guess, and refuse every flat layout with two directories.
    """
    return "build-system" in project.pyproject and "project" in project.pyproject
