"""The program of one of an entry's `processes:`, which run beside its service."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from iac_wrapper.errors import EntrypointError
from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.program.detection import procfile, reach
from iac_wrapper.program.detection.override import Override, resolve
from iac_wrapper.program.detection.project import Project
from iac_wrapper.program.detection.surroundings import with_surroundings


def process_program(root: Path, name: str, command: str | None, where: str) -> Entrypoint:
    """The program of one of an entry's `processes:`; one called ``worker`` is that, unless its
    command or its code says otherwise.

    Args:
        root: the checkout's directory; only read.
        name: of the process.
        command: what `entrypoint:` may say as well; None: the line of this name in the Procfile.
        where: ``file:line`` of the process in repos.yaml, for errors.

    Raises:
        EntrypointError: there is no such line, or the command names what is not there.
    """
    project = Project(root)
    if command is None:
        chosen = procfile.entrypoint(project, _in_procfile(root, name, where))
    else:
        key = f"processes: {name}:"
        wish = Override(command.strip(), where, key, "in repos.yaml", "repos-file")
        chosen = resolve(project, wish)
    run = chosen.run or reach.run(project, chosen)
    is_worker = name == "worker" or command is None  # platforms send requests to ``web`` only
    chosen = with_surroundings(project, chosen)
    return replace(chosen, run=run or ("worker" if is_worker else None))


def _in_procfile(root: Path, name: str, where: str) -> procfile.Process:
    lines = {process.name: process for process in procfile.read_procfile(root)}
    if name in lines:
        return lines[name]
    raise EntrypointError(
        f"there is no process {name} in the {procfile.PROCFILE}",
        where=where or None,
        found=f"the processes {', '.join(lines)}" if lines else "no Procfile with a process",
        expected=f"a line `{name}: COMMAND` in it, or the command in repos.yaml",
        next_step=f'write `processes: {{{name}: "COMMAND"}}` in its entry',
    )
