"""Programs that work without an end beside the one that is run: nobody else names them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.program.detection.framework_files import (
    pages_of_frameworks,
    workers_of_frameworks,
)
from iac_wrapper.program.detection.imports import all_imported_files, imported_files, module_of
from iac_wrapper.program.detection.named_programs import shown_beside
from iac_wrapper.program.detection.project import Project
from iac_wrapper.program.detection.python_files import is_aside
from iac_wrapper.program.detection.ranking import STEMS
from iac_wrapper.program.detection.served_objects import own_programs, served_objects


def work_beside(project: Project, chosen: Entrypoint) -> Iterator[str]:
    """A sentence for each, with the line that runs it, where what is chosen serves."""
    if chosen.run != "web":
        return
    for page in pages_of_frameworks(project, chosen):
        line = f"processes: {{page: {page.entrypoint.display if page.entrypoint else page.write}}}"
        yield (
            f"{page.name} is a page of its own, and is not run: `{line}` in its entry runs it as a"
            " service of its own"
        )
    working = dict(_files(project))
    for relative in shown_beside(project, chosen):
        if relative not in working:
            line = f"processes: {{{_name(relative)}: {_command(project, relative)}}}"
            yield (
                f"the README shows how to start {relative} as well, which is not run: `{line}` in"
                " its entry runs it as a service of its own"
            )
    for relative, command in (*working.items(), *workers_of_frameworks(project)):
        is_itself = relative == chosen.target
        subject = f"the Celery of {relative}" if is_itself else relative
        name = "worker" if is_itself else _name(relative)
        line = f"processes: {{{name}: {command}}}"
        yield (
            f"{subject} works without an end, and is not run: `{line}` in its entry runs it as a"
            " service of its own"
        )


def _files(project: Project) -> Iterator[tuple[str, str]]:
    """Bots, pollers and the like that neither another of them nor a web application imports, each
    with its command."""
    working = [file for file, run in own_programs(project) if run == "worker"]
    if not working:
        return
    imported = {one for file in working for one in imported_files(project, file)}
    for _, served in served_objects(project, any_server=True):
        imported |= all_imported_files(project, served.name)
    for file in working:
        if file not in imported and not is_aside(PurePosixPath(file).stem):
            yield file, _command(project, file)


def _command(project: Project, relative: str) -> str:
    module = module_of(project, relative)
    return f"python -m {module}" if module else f"python {relative}"


def _name(relative: str) -> str:
    """What the process may be called: like its file, if that has a name of its own."""
    stem = PurePosixPath(relative).stem.lower().replace("_", "-")
    is_own = re.fullmatch(r"[a-z][a-z0-9-]*[a-z0-9]", stem) and stem not in STEMS
    return stem if is_own and "celery" not in stem else "worker"
