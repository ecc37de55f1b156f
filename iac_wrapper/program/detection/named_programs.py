"""The program that the author's own commands name: of the image, else of the README."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import NamedTuple

from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.program.detection import commands, django, reach
from iac_wrapper.program.detection.author_commands import (
    AuthorCommand,
    image_commands,
    readme_commands,
)
from iac_wrapper.program.detection.candidate import Candidate, judge, serve
from iac_wrapper.program.detection.imports import all_imported_files, import_name, module_of
from iac_wrapper.program.detection.needed_files import started_files
from iac_wrapper.program.detection.project import MANAGE, Project
from iac_wrapper.program.detection.python_files import (
    is_aside,
    may_hold_programs,
    python_files,
)
from iac_wrapper.program.detection.web_objects import WebApp
from iac_wrapper.program.detection.web_server import SERVERS
from iac_wrapper.program.python_project import inside

_OBJECT = re.compile(r"([A-Za-z_][\w.]*)(?::([A-Za-z_]\w*))?(?:\(.*\))?")
_MODULE = re.compile(r"[A-Za-z_][\w.]*")


class _Named(NamedTuple):
    """A Python file of the checkout, and the object of it that a server gets; empty: none."""

    file: str
    object: str
    where: str


def by_author(project: Project, chosen: Entrypoint | None) -> Entrypoint | None:
    """The program that the author's commands start, where it is another one than `chosen`; None
    if they start that, or none that can be told.

    The image decides. A README does if it names one program alone, and that one certainly serves
    or works, or what was chosen does neither, and is no command of the project.
    """
    if django.is_site(project):
        return None
    found = {*started_files(project, chosen), *chosen.args} if chosen else set()
    if named := _of_image(project):
        return None if named.file in found else _entrypoint(project, named, "starts")
    shown = _of_readme(project)
    is_command = chosen and chosen.kind == "module" and chosen.function
    if is_command or len({each.file for each in shown}) != 1 or shown[0].file in found:
        return None
    other = _entrypoint(project, shown[0], "shows how to start")
    is_better = other and (reach.run(project, other) or not (chosen and chosen.run))
    return other if is_better else None


def shown_beside(project: Project, chosen: Entrypoint) -> list[str]:
    """Files that the README shows how to start beside `chosen`, and that have no part in it."""
    started = started_files(project, chosen)
    shown = dict.fromkeys(each.file for each in _of_readme(project))
    if not shown.keys() & {*started}:
        return []
    linked = {*started}.union(*(all_imported_files(project, file) for file in started))
    others = [file for file in shown if file not in linked]
    return [file for file in others if not all_imported_files(project, file) & {*started}]


def named_of(project: Project, candidates: Iterable[Candidate]) -> list[Candidate]:
    """The one of `candidates` that the image starts, else those that the README shows."""
    image = _of_image(project)
    files = {image.file} if image else {each.file for each in _of_readme(project)}
    return [each for each in candidates if each.name in files]


def _of_image(project: Project) -> _Named | None:
    """The last program that it starts: others before it prepare."""
    found = [_named(project, command) for command in image_commands(project.root)]
    programs = [each for each in found if each and not is_aside(PurePosixPath(each.file).stem)]
    return programs[-1] if programs else None


def _of_readme(project: Project) -> list[_Named]:
    found = filter(None, (_named(project, command) for command in readme_commands(project.root)))
    return [each for each in found if _may_be_program(each.file)]


def _may_be_program(relative: str) -> bool:
    path = PurePosixPath(relative)
    folders = [part for part in path.parts[:-1] if part != "src"]
    return all(map(may_hold_programs, folders)) and not is_aside(path.stem)


def _named(project: Project, command: AuthorCommand) -> _Named | None:
    name, words, where = command
    if name.endswith(".py"):
        file = _file(project, name)
        return _Named(file, "", where) if file and not file.endswith(MANAGE) else None
    if run := commands.run((name, words)):
        return _served(project, command) if run == {"web"} else None
    if not _MODULE.fullmatch(name):
        return None
    file, rest = project.own.module_file(name.split("."), "", main=True)
    return _Named(file, "", where) if file and not rest else None


def _served(project: Project, command: AuthorCommand) -> _Named | None:
    """The object, or else the file, that a server or a framework's tool is given."""
    name, words, where = command
    for word in words:
        if (match := _OBJECT.fullmatch(word)) and (":" in word or "." in word):
            file, rest = project.own.module_file(match[1].split("."), "")
            if file and not rest:
                return _Named(file, match[2] or "", where)
    if name in SERVERS:  # a file is its configuration
        return None
    files = (_file(project, word) for word in words if word.endswith(".py"))
    return next((_Named(file, "", where) for file in files if file), None)


def _file(project: Project, path: str) -> str:
    """The file of the checkout that a path in its image is; empty: none, or not certain."""
    parts = [part for part in PurePosixPath(path).parts if part not in ("/", ".")]
    for start in range(len(parts)):
        if inside(project.root, end := "/".join(parts[start:])):
            return end
    name = "/".join(parts)
    found = [file for file in python_files(project.root) if f"/{file}".endswith(f"/{name}")]
    return found[0] if len(found) == 1 else ""


def _entrypoint(project: Project, named: _Named, verb: str) -> Entrypoint | None:
    reason = f"{named.where} {verb} {named.file}, which"
    if named.object:
        app = _application(project, named)
        name = import_name(project, named.file)
        return serve(project, app, name, named.file, reason).entrypoint if app else None
    module = (module_of(project, named.file) or "").removesuffix(".__main__") or None
    found = judge(project, named.file, module=module, reason=reason).entrypoint
    source = project.source(named.file)
    if found or source is None or source.fault or source.web_apps or source.defines_main:
        return found
    does = f"{reason} does its work when objects are made"
    return Entrypoint("module" if module else "script", module or named.file, None, does)


def _application(project: Project, named: _Named) -> WebApp | None:
    """The object that the author hands to a server: that is what it is, whatever makes it."""
    if app := project.web_object(named.file, named.object):
        return app
    source = project.source(named.file)
    is_there = source and named.object in source.objects and named.object not in source.functions
    return WebApp("unknown", named.object) if is_there else None
