"""Web application objects anywhere in a checkout, for the server that its requirements name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.model.options import Run
from iac_wrapper.program.detection import django, libraries, reach
from iac_wrapper.program.detection.candidate import Candidate, judge, serve
from iac_wrapper.program.detection.imports import import_name, module_of
from iac_wrapper.program.detection.markers import requirements
from iac_wrapper.program.detection.project import Project
from iac_wrapper.program.detection.reloading import is_refused
from iac_wrapper.program.detection.web_objects import FRAMEWORKS, NAMES, WORDS, WebApp
from iac_wrapper.program.detection.web_server import declared_server

Rank = tuple[int, ...]

_Object = tuple[Rank, WebApp, Candidate]

_COMMAND_LINES = libraries.COMMAND_LINES | {"argparse", "fire", "docopt"}
"""What imports one of these does nothing without arguments, as far as anybody sees."""

GUARD = re.compile(rb"__main__")

_ORDER = {"wsgi": 0, "asgi": 1, "app": 2, "main": 2, "application": 2}
"""Files that hold the object by convention, in the order in which they are believed."""


def served_objects(project: Project, *, any_server: bool = False) -> list[tuple[Rank, Candidate]]:
    """Django's own application, then the others from the root down, each with its rank.

    Args:
        project: the checkout.
        any_server: also those for which the requirements name no server.
    """
    found = list(_once(_objects(project, any_server)))
    if candidate := django.candidate(project):
        found.append(((-1,), candidate))
    return sorted(found, key=lambda one: one[0])


def supplied(project: Project) -> list[tuple[Rank, Candidate]]:
    """Objects for which the requirements name no server, unless a file no farther from the root
    serves by itself, or what the object needs is certainly not installed."""
    if not can_be_supplied(project):
        return []
    found = served_objects(project, any_server=True)
    serving = (_depth(file) for file, run in own_programs(project) if run == "web")
    nearest = min(serving, default=None)
    return [one for one in found if nearest is None or _depth(one[1].name) < nearest]


def can_be_supplied(project: Project) -> bool:
    """Whether what an object is made of may be installed; where no requirements name a framework,
    a file that runs by itself is believed instead."""
    if _installs_nothing(project):
        return False
    return _names_a_framework(project) or not any(True for _ in own_programs(project))


def own_programs(project: Project) -> Iterator[tuple[str, Run]]:
    """Files that serve, or work without an end, when they are run as they are: certainly, or at
    the root and by no command line."""
    for relative in project.files_with(GUARD):
        source = project.source(relative)
        if source and source.guard and not is_refused(project, relative):
            run = source.run
            packages = {name.partition(".")[0] for name in source.imports}
            if run is None and _depth(relative) == 1 and not packages & _COMMAND_LINES:
                run = reach.run(project, Entrypoint("script", relative, None, ""))
            if run:
                yield relative, run


def guard_left_out(project: Project, candidate: Candidate) -> Iterator[str]:
    """A guard that does more than to start what a server starts instead."""
    source = project.source(candidate.name)
    if source and source.prepares and candidate.write != candidate.name and not candidate.guarded:
        yield (
            f"the __main__ guard of {candidate.name} is not run ({source.prepares}):"
            f" `entrypoint: {candidate.name}` starts it"
        )


def _installs_nothing(project: Project) -> bool:
    """Whether only folders in it say what they need of Python."""
    says = project.declared or requirements(project.above or project.root)
    return not says and any(folder.is_python for folder in project.folders)


def _names_a_framework(project: Project) -> bool:
    """Whether it asks for one, or for a package that is called after one (``fastapi-users``)."""
    names = " ".join(project.declared)
    return not names or any(framework in names for framework in FRAMEWORKS)


def _once(found: Iterable[_Object]) -> Iterator[tuple[Rank, Candidate]]:
    """Of an object and a file that imports it, both at the same place, the importer alone."""
    objects = list(found)
    imported = {(app.imported, rank[0]) for rank, app, _ in objects if app.imported}
    for rank, app, candidate in objects:
        if ((candidate.name, app.name), rank[0]) not in imported:
            yield rank, candidate


def _objects(project: Project, any_server: bool) -> Iterator[_Object]:
    for relative in project.files_with(WORDS, NAMES):
        source = project.source(relative)
        if source is None or source.fault or source.serves_on_import:
            continue
        for app in source.web_apps:
            if any_server or declared_server(app, project.declared):
                rank = (*_rank(relative), int(app.factory))
                if source.prepares and source.run and app.kind != "flask" and not any_server:
                    yield rank, app, judge(project, relative, module=module_of(project, relative))
                else:
                    yield rank, app, serve(project, app, import_name(project, relative), relative)


def _rank(relative: str) -> Rank:
    return _depth(relative), _ORDER.get(PurePosixPath(relative).stem, 3)


def _depth(relative: str) -> int:
    parts = PurePosixPath(relative).parts
    return len(parts) - (parts[0] == "src")
