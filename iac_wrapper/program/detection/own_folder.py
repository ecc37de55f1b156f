"""Scripts that are started in their own folder: what they read lies there, and not at the root."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePosixPath

from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.program.detection.folders import started_in
from iac_wrapper.program.detection.imports import all_imported_files, uses_bare_names
from iac_wrapper.program.detection.project import Project
from iac_wrapper.program.detection.syntax import last_name
from iac_wrapper.program.python_project import inside

_READS = {"open", "read", "load_dotenv", "fileConfig", "read_csv", "read_json", "read_excel"}
"""Calls whose first argument is a path from the working folder."""


def in_own_folder(project: Project, chosen: Entrypoint) -> tuple[Entrypoint, str] | None:
    """The script started in its folder, and a sentence on it; None if it runs from the root."""
    folder = PurePosixPath(chosen.target).parent
    is_script = chosen.kind == "script" and not chosen.function
    if not (is_script and folder.name and uses_bare_names(project, chosen.target)):
        return None
    files = [*all_imported_files(project, chosen.target)]
    read = [name for relative in files for name in _read(project, relative)]
    there = [name for name in read if inside(project.root / folder, name)]
    at_root = [name for name in read if inside(project.root, name)]
    if not there or at_root or any(not file.startswith(f"{folder}/") for file in files):
        return None
    words = (PurePosixPath(chosen.target).name, *chosen.args)
    command = replace(chosen, kind="command", target="python", args=words)
    note = f"{chosen.target} is started in {folder}/: it reads {there[0]}, which lies there alone"
    return started_in(project.root / folder, str(folder), command), note


def _read(project: Project, relative: str) -> Iterator[str]:
    parsed = project.own.parsed(relative)
    for node in parsed.nodes if parsed else ():
        match node:
            case ast.Call(args=[ast.Constant(value=str() as name), *_]):
                if last_name(node) in _READS and not name.startswith("/"):
                    yield name
