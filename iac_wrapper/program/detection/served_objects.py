"""Web application objects anywhere in a checkout, for the server that its requirements name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from iac_wrapper.program.detection import django
from iac_wrapper.program.detection.candidate import Candidate, module_name, serve
from iac_wrapper.program.detection.project import Project
from iac_wrapper.program.detection.web_objects import WORDS
from iac_wrapper.program.detection.web_server import declared_server

Rank = tuple[int, ...]

_NAMES = {"wsgi": 0, "asgi": 1, "app": 2, "main": 2, "application": 2}
"""Files that hold the object by convention, in the order in which they are believed."""


def served_objects(project: Project, *, any_server: bool = False) -> list[tuple[Rank, Candidate]]:
    """Django's own application, then the others from the root down, each with its rank.

    Args:
        project: the checkout.
        any_server: also those for which the requirements name no server.
    """
    found = list(_objects(project, any_server))
    if candidate := django.candidate(project):
        found.append(((-1,), candidate))
    return sorted(found, key=lambda one: one[0])


def _objects(project: Project, any_server: bool) -> Iterator[tuple[Rank, Candidate]]:
    for relative in project.files_with(WORDS):
        source = project.source(relative)
        if source is None or source.fault or source.serves_on_import:
            continue
        for app in source.web_apps:
            if any_server or declared_server(app, project.declared):
                rank = (*_rank(relative), int(app.factory))
                yield rank, serve(project, app, module_name(relative), relative)


def _rank(relative: str) -> Rank:
    path = PurePosixPath(relative)
    depth = len(path.parts) - (path.parts[0] == "src")
    return depth, _NAMES.get(path.stem, 3)
