"""Web application objects anywhere in a checkout, for the server that its requirements name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from iac_wrapper.program.detection import django
from iac_wrapper.program.detection.candidate import Candidate, serve
from iac_wrapper.program.detection.own_files import module_name
from iac_wrapper.program.detection.project import Project
from iac_wrapper.program.detection.web_objects import NAMES, WORDS, WebApp
from iac_wrapper.program.detection.web_server import declared_server

Rank = tuple[int, ...]

_Object = tuple[Rank, WebApp, Candidate]

_GUARD = re.compile(rb"__main__")

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
    serves by itself."""
    found = served_objects(project, any_server=True)
    nearest = min((_depth(relative) for relative in own_servers(project)), default=None)
    return [one for one in found if nearest is None or _depth(one[1].name) < nearest]


def own_servers(project: Project) -> Iterator[str]:
    """Files that certainly serve when they are run as they are."""
    for relative in project.files_with(_GUARD):
        source = project.source(relative)
        if source and source.guard and source.run == "web":
            yield relative


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
                yield rank, app, serve(project, app, module_name(relative), relative)


def _rank(relative: str) -> Rank:
    return _depth(relative), _ORDER.get(PurePosixPath(relative).stem, 3)


def _depth(relative: str) -> int:
    parts = PurePosixPath(relative).parts
    return len(parts) - (parts[0] == "src")
