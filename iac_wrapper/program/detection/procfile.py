"""Procfile: the commands by which the author's own platform runs the repository.

A service is the web process, or else the worker, or else the only one. Others run where an entry
says `processes:`; what is not run is said. The command of another platform's file stands in for a
Procfile that does not say.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.model.options import Run
from iac_wrapper.program.detection.command_line import CommandLine
from iac_wrapper.program.detection.commands import in_script
from iac_wrapper.program.detection.markers import language_marker, python_marker
from iac_wrapper.program.detection.other_kinds import other_kind
from iac_wrapper.program.detection.platform_commands import platform_commands
from iac_wrapper.program.detection.project import Project
from iac_wrapper.program.detection.refusals import not_python
from iac_wrapper.program.detection.stale_lines import stale_line
from iac_wrapper.program.detection.web_server import SERVERS, is_declared
from iac_wrapper.program.python_project import read_text

PROCFILE = "Procfile"

RELEASE = "release"
"""The process that platforms run once per deploy."""

_LINE = re.compile(r"([A-Za-z0-9_-]+)\s*:\s*(\S.*)")


@dataclass(frozen=True)
class Process:
    """One line of the Procfile, or of another `file`, at line `number` from 1."""

    name: str
    command: str
    number: int
    file: str = PROCFILE

    @property
    def label(self) -> str:
        """``Procfile: web``."""
        return f"{self.file}: {self.name}"

    @property
    def where(self) -> str:
        """``Procfile:1``."""
        return f"{self.file}:{self.number}"


def read_procfile(root: Path) -> list[Process]:
    """The processes of the checkout's Procfile; none without one."""
    found = []
    for number, line in enumerate((read_text(root, PROCFILE) or "").splitlines(), start=1):
        if match := _LINE.fullmatch(line.strip()):
            found.append(Process(match[1], match[2], number))
    return found


def platform_process(project: Project) -> Process | None:
    """The command of the first file of another platform that names one for Python.

    A server that the requirements do not name is installed by a command of that platform, which is
    not run here: such a line only tells what is served (`named_programs`).
    """
    found = platform_commands(project.root)
    processes = (Process(name, command, at, file) for file, name, command, at in found)
    return next((one for one in processes if not _lacks_server(project, one)), None)


def _lacks_server(project: Project, process: Process) -> bool:
    names = (name for name, _ in in_script(process.command))
    return any(name in SERVERS and not is_declared(name, project.declared) for name in names)


def main_process(processes: Sequence[Process], declared: Collection[str] = ()) -> Process | None:
    """The process that a service is: ``web``, else ``worker``, else the only one that there is.

    Args:
        processes: those of the Procfile.
        declared: names of those that run as services of their own.
    """
    by_name = {process.name: process for process in processes}
    others = undecided(processes, declared)
    only = others[0] if len(others) == 1 else None
    return by_name.get("web") or by_name.get("worker") or only


def undecided(processes: Sequence[Process], declared: Collection[str] = ()) -> list[Process]:
    """Those that could be the service; ``release`` ends."""
    return [p for p in processes if p.name != RELEASE and p.name not in declared]


def left_out(
    processes: Sequence[Process], chosen: Process | None, declared: Collection[str] = ()
) -> list[str]:
    """A sentence for each process that is not run; `declared` ones run as services of their own."""
    left = [p for p in processes if p is not chosen and p.name not in declared]
    return [f"{p.label}: {p.command} is not run{_how_to_run(p)}" for p in left]


def _how_to_run(process: Process) -> str:
    if process.name == "web":  # the entry's own program
        return ""
    if process.name == RELEASE:
        line = f"{RELEASE}: {process.command}"
        return f" from there; `{line}` in its entry runs it before each version"
    line = f"processes: [{process.name}]"
    return f"; `{line}` in its entry runs it as a service of its own"


def entrypoint(project: Project, process: Process) -> Entrypoint:
    """The program of a process.

    Raises:
        EntrypointError: the command cannot be read, or names a file that is not in the checkout.
    """
    found = CommandLine(
        project,
        process.command,
        where=process.where,
        found=f"{process.name}: {process.command}",
        next_step=_instead(project) or "correct that line, or write `entrypoint:` in repos.yaml",
    ).entrypoint()
    is_elsewhere = found.kind == "command" and not found.target.startswith("/app/")
    if is_elsewhere and language_marker(project.root) and (instead := _instead(project)):
        raise not_python(process.command, process.where, instead)
    line = f"{process.name}: {process.command}"
    if stale := stale_line(project, found, process.where, line):
        raise stale
    named = _RUNS.get(process.name)
    return replace(found, reason=_reason(process), run=named or found.run)


def _reason(process: Process) -> str:
    if process.file == PROCFILE:
        return f"{process.name}: in the {PROCFILE}"
    return f"{process.name} in {process.file}"


_RUNS: Mapping[str, Run] = {"web": "web", "worker": "worker"}
"""What a process is for, by its name."""


def _instead(project: Project) -> str:
    """What would work for a checkout whose program is in another language."""
    return "" if python_marker(project.root) else other_kind(project.root)
