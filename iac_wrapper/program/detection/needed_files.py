"""The files of the checkout without which the chosen program cannot start."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from iac_wrapper.errors import EntrypointError
from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.program.detection.old_syntax import is_old
from iac_wrapper.program.detection.origins import imported_modules
from iac_wrapper.program.detection.own_files import Fault
from iac_wrapper.program.detection.project import Project
from iac_wrapper.program.detection.refusals import for_python_2

_MAX_FILES = 50
"""How many files are followed, about a millisecond each."""

_OBJECT = re.compile(r"([A-Za-z_][\w.]*):[A-Za-z_]\w*(\(.*\))?")
"""``shop.web:app``, as servers take it."""


def written_for_python_2(project: Project, chosen: Entrypoint) -> EntrypointError | None:
    """The refusal of the first file for Python 2 that starting the program certainly imports."""
    for relative in _needed(project, started_files(project, chosen)):
        fault = project.own.read(relative)
        if isinstance(fault, Fault) and is_old(fault.text):
            where = f"{relative}:{fault.line}" if fault.line else relative
            return for_python_2(relative, where, f"does not parse: {fault.text}")
    return None


def started_files(project: Project, chosen: Entrypoint) -> list[str]:
    """The program's own file, or that of the object that a server is to serve."""
    if chosen.kind == "script":
        return [chosen.target]
    names = [match[1] for arg in chosen.args if (match := _OBJECT.fullmatch(arg))]
    if chosen.kind == "module":
        names.append(chosen.target)
    if chosen.kind not in ("module", "command"):
        return []
    is_main = chosen.function is None
    located = (project.own.module_file(name.split("."), "", main=is_main) for name in names)
    return [relative for relative, rest in located if relative and not rest]


def _needed(project: Project, first: list[str]) -> Iterator[str]:
    """`first`, and what their module levels import without a condition, and so on."""
    waiting, seen = [*first], {*first}
    while waiting and len(seen) < _MAX_FILES:
        relative = waiting.pop(0)
        yield relative
        parsed = project.own.parsed(relative)
        plain = (
            (n for n in parsed.tree.body if isinstance(n, ast.Import | ast.ImportFrom))
            if parsed
            else ()
        )
        files = {project.own.located(name, relative)[0] for name in imported_modules(plain)}
        new = sorted(file for file in files - seen if file and project.own.path(file))
        seen.update(new)
        waiting += new
