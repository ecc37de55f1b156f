"""Files that a tool of their framework runs."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import PurePosixPath

from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.program.detection.candidate import Candidate, marked
from iac_wrapper.program.detection.frameworks import FRAMEWORKS, Mark
from iac_wrapper.program.detection.own_files import module_name
from iac_wrapper.program.detection.project import Project
from iac_wrapper.program.detection.served_objects import own_programs
from iac_wrapper.program.detection.syntax import last_name, walk

_WORDS = re.compile("|".join(filter(None, (row.imports for row in FRAMEWORKS))).encode())
_STEMS = re.compile(r"(^|_)(app|main|home|index|server|locustfile|celery)(_|$)", re.I)
"""Names that people give to the file that is run."""

_EXTENSION = re.compile(rb"""\.extensions\[["']celery["']\]""")
"""Where a Flask application keeps its Celery."""

_TASKS = ("tasks.py", "*/tasks.py", "src/*/tasks.py")
"""Files that hold commands for developers, or a queue."""

Rank = list[Candidate]

_NO_FUNCTION = Candidate(
    "functions-framework",
    note="no function is marked with @functions_framework.http: write `entrypoint:"
    " functions-framework --target FUNCTION --source main.py --port $PORT` in its entry",
)


def framework_files(project: Project, *, last: bool) -> Iterator[Rank]:
    """Candidates, those nearest to the root and of telling names first.

    Args:
        project: the checkout.
        last: those of frameworks whose files lie beside other programs as well; none if the
            requirements do not name it or a file serves by itself.
    """
    found = list(_marked(project, last=last))
    if not last and "functions-framework" in project.declared and not found:
        yield [_NO_FUNCTION]
    if not found or (last and any(run == "web" for _, run in own_programs(project))):
        return
    imported = set(_imported(project, {relative for relative, _ in found}))
    left = [one for one in found if one[0] not in imported and "pages" not in one[0].split("/")]
    ordered = sorted(left, key=_distance)
    for _, group in groupby(ordered, key=_distance):
        yield [_candidate(relative, mark) for relative, mark in group]


def pages_of_frameworks(project: Project, chosen: Entrypoint) -> Iterator[Candidate]:
    """The page that a tool draws (Streamlit, say) beside a web application that is served: the
    nearest one, if it is the only one there."""
    if any(row.command and chosen.target == row.command[0] for row in FRAMEWORKS):
        return
    nearest: Rank = next(framework_files(project, last=False), [])
    drawn = [each for each in nearest if each.entrypoint and each.entrypoint.run == "web"]
    if len(drawn) == 1 and drawn[0].name != chosen.target:
        yield drawn[0]


def workers_of_frameworks(project: Project) -> Iterator[tuple[str, str]]:
    """The file nearest to the root that binds a ``Celery()``, or one that a Flask application holds
    as its extension, with the command that runs it."""
    marked_files = _marked(project, last=True)
    workers = (one for one in marked_files if one[1].framework.run == "worker")
    if found := [one for one in workers if _binds(project, *one)]:
        relative, mark = min(found, key=_distance)
        yield relative, _candidate(relative, mark).write
    elif "celery" in project.declared:
        yield from _extensions(project)


def _extensions(project: Project) -> Iterator[tuple[str, str]]:
    """Likewise the first file whose module level takes it from there, as Flask documents it."""
    for relative in sorted(project.files_with(_EXTENSION), key=lambda path: path.count("/")):
        parsed = project.own.parsed(relative)
        for node in parsed.tree.body if parsed else ():
            match node:
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.Subscript() as value):
                    if _EXTENSION.search(ast.unparse(value).encode()):
                        app = f"{module_name(relative)}:{name}"
                        yield relative, f"celery -A {app} worker --loglevel INFO"
                        return


def _binds(project: Project, relative: str, mark: Mark) -> bool:
    """Whether importing the file makes what a tool looks for: no function has to be called."""
    parsed = project.own.parsed(relative)
    values = (getattr(node, "value", None) for node in parsed.tree.body) if parsed else ()
    calls = {last_name(value) for value in values if isinstance(value, ast.Call)}
    makers = {
        node.name
        for node in (parsed.tree.body if parsed else ())
        if isinstance(node, ast.FunctionDef) and node.name in calls
        for call in walk(node)
        if isinstance(call, ast.Call) and last_name(call) == mark.framework.name
    }
    return bool(calls & {mark.framework.name, *makers})


def _marked(project: Project, *, last: bool) -> Iterator[tuple[str, Mark]]:
    tasks = (path for pattern in _TASKS for path in project.root.glob(pattern))
    queues = [path.relative_to(project.root).as_posix() for path in tasks] if last else []
    for relative in [*project.files_with(_WORDS), *sorted(queues)]:
        source = project.source(relative)
        for mark in marked(source) if source else ():
            row = mark.framework
            is_wanted = row.is_last == last and (not last or project.declared & set(row.packages))
            if is_wanted and (not row.needs or (project.root / row.needs).is_file()):
                yield relative, mark


def _imported(project: Project, files: set[str]) -> Iterator[str]:
    """Those of the files that another of them imports."""
    for relative in files:
        source = project.source(relative)
        for dotted in source.own_imports if source else ():
            other = project.own.located(dotted, relative)[0]
            if other in files and other != relative:
                yield other


def _distance(one: tuple[str, Mark]) -> tuple[int, bool]:
    path = PurePosixPath(one[0])
    return len(path.parts) - (path.parts[0] == "src"), _STEMS.search(path.stem) is None


def _candidate(relative: str, mark: Mark) -> Candidate:
    found = mark.framework.entrypoint(relative, module_name(relative), mark.name)
    write = found.display if mark.framework.is_named or mark.framework.is_last else relative
    return Candidate(relative, found, found.reason, write=write)
