"""What frameworks need around their program: variables, and what may be written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import PurePosixPath

from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.program.detection.frameworks import FRAMEWORKS, Framework
from iac_wrapper.program.detection.project import Project


def with_surroundings(project: Project, entrypoint: Entrypoint) -> Entrypoint:
    """The program with the variables and the writable folders of the frameworks that the
    requirements name or that it is run by."""
    if entrypoint.kind in ("binary", "image"):
        return entrypoint
    rows = [row for row in FRAMEWORKS if _is_of(row, project, entrypoint)]
    variables = dict(entrypoint.variables)
    variables |= {name: value for row in rows for name, value in row.variables}
    writable = {f"/app/{path}" for row in rows for path in _writable(row, project)}
    return replace(
        entrypoint,
        variables=tuple(sorted(variables.items())),
        writable=tuple(sorted(writable)),
    )


def _is_of(row: Framework, project: Project, entrypoint: Entrypoint) -> bool:
    is_run = bool(row.command) and entrypoint.target in (row.command[0], row.imports)
    return is_run or bool(project.declared & set(row.packages))


def _writable(row: Framework, project: Project) -> Iterator[str]:
    if not row.writable or (row.writes and not project.files_with(re.compile(row.writes.encode()))):
        return
    free = [path for path in row.writable if not (project.root / path).exists()]
    for path in free:
        if str(PurePosixPath(path).parent) not in free:
            yield path


def links(project: Project) -> tuple[str, ...]:
    """Files at the root that frameworks of the requirements write and the repository has not: in
    the image they are links into ``/tmp``."""
    rows = (row for row in FRAMEWORKS if project.declared & set(row.packages))
    paths = (path for row in rows for path in row.links)
    return tuple(path for path in paths if not (project.root / path).exists())


def linked(paths: Iterable[str]) -> list[str]:
    """A sentence for each of the `links`."""
    return [f"{path} is written to memory: every container has its own" for path in paths]


def kept_in_memory(entrypoint: Entrypoint) -> list[str]:
    """A sentence for each folder that only is in memory."""
    return [
        f"{path} is writable and in memory only: `volumes: {{{_volume(path)}: {path}}}` in its"
        " entry keeps what is written there"
        for path in entrypoint.writable
    ]


def _volume(path: str) -> str:
    return PurePosixPath(path).name.strip(".")


def drawn_for_visitors(entrypoint: Entrypoint) -> list[str]:
    """A sentence if the script is not run before somebody opens the page."""
    rows = (row for row in FRAMEWORKS if row.draws and entrypoint.target == row.command[0])
    return [
        f"{row.name} runs the script for each visitor: an answer proves that {row.name} serves, and"
        " not that the script runs to its end; what it raises is on the page and in the logs"
        for row in rows
    ]
