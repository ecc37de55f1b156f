"""Lines of a Procfile that name a module which nothing can import where they run."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from iac_wrapper.errors import EntrypointError
from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.program.detection.project import Project
from iac_wrapper.program.detection.python_files import python_files
from iac_wrapper.program.python_project import PYPROJECT, read_text

_SERVERS = {"gunicorn", "uvicorn", "hypercorn", "granian", "daphne", "waitress-serve", "sanic"}
_OBJECT = re.compile(r"([A-Za-z_][\w.]*)(:[A-Za-z_]\w*(?:\(.*\))?)")
_ELSEWHERE = re.compile(r"--(chdir|app-dir|pythonpath|working-dir|config)\b|-c\b")
"""Options by which a server may look in other folders."""

_MOVES = re.compile(
    r"package[-_]dir|py[-_]modules|\bwhere\b|\bfrom *=|force-include|\bsources\b|chdir|pythonpath"
)
"""Settings of builds and of gunicorn that name folders or files to import from."""


def stale_line(
    project: Project, chosen: Entrypoint, where: str, line: str
) -> EntrypointError | None:
    """The error for a line whose server is to import a module that lies in one folder alone; None
    where that is not certain.

    Args:
        project: the checkout.
        chosen: the program of the line.
        where: ``file:line``, for the error.
        line: as it is written there.
    """
    if chosen.kind != "command" or chosen.target not in _SERVERS or _moves_imports(project):
        return None
    if any(_ELSEWHERE.match(arg) for arg in chosen.args):
        return None
    for arg in chosen.args:
        match = _OBJECT.fullmatch(arg)
        if match and (file := _only_file(project, match[1])):
            return _error(file, arg, match[1] + match[2], where, line)
    return None


def _moves_imports(project: Project) -> bool:
    """Whether its build, or gunicorn's own file, may have modules of other folders imported."""
    files = (PYPROJECT, "setup.py", "setup.cfg", "gunicorn.conf.py")
    return any(_MOVES.search(read_text(project.root, name) or "") for name in files)


def _only_file(project: Project, module: str) -> str:
    """The one file that a module could be, which no import finds; empty: it is found, is a package
    that is installed, or several files could be meant."""
    top = module.partition(".")[0]
    found, _ = project.own.module_file([top], "")
    is_folder = any((project.root / folder / top).is_dir() for folder in ("", "src"))
    is_required = project.declared & {top.lower(), top.lower().replace("_", "-")}
    if found or is_folder or is_required or top.lower() in project.installed:
        return ""
    end = f"/{module.replace('.', '/')}.py"
    files = [file for file in python_files(project.root) if f"/{file}".endswith(end)]
    return files[0] if len(files) == 1 else ""


def _error(file: str, arg: str, named: str, where: str, line: str) -> EntrypointError:
    module, colon, rest = named.partition(":")
    folder = file[: -len(f"/{module.replace('.', '/')}.py")]
    name = f"{'.'.join(PurePosixPath(folder).parts)}.{module}{colon}{rest}"
    command = line.partition(":")[2].strip().replace(arg, name)
    return EntrypointError(
        f"it names the module {module}, which cannot be imported from the root of the repository",
        where=where,
        found=line,
        expected=f"a module that lies there; the only one of that name is {file}",
        next_step=f"correct that line; or, if {file} is meant, write `entrypoint: {command}` in its"
        " entry of repos.yaml",
    )
