"""Procfile: the commands by which the author's own platform runs the repository.

A service is the web process, or else the worker, or else the only one. Others run where an entry
says `processes:`; what is not run is said.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.model.options import Run
from iac_wrapper.program.detection.command_line import CommandLine
from iac_wrapper.program.detection.markers import language_marker, python_marker
from iac_wrapper.program.detection.other_kinds import other_kind
from iac_wrapper.program.detection.project import Project
from iac_wrapper.program.detection.refusals import not_python
from iac_wrapper.program.detection.stale_lines import stale_line
from iac_wrapper.program.python_project import read_text

PROCFILE = "Procfile"

RELEASE = "release"
"""The process that platforms run once per deploy."""

_LINE = re.compile(r"([A-Za-z0-9_-]+)\s*:\s*(\S.*)")


@dataclass(frozen=True)
class Process:
    """One line of the Procfile, at line `number` from 1."""

    name: str
    command: str
    number: int

    @property
    def label(self) -> str:
        """``Procfile: web``."""
        return f"{PROCFILE}: {self.name}"


def read_procfile(root: Path) -> list[Process]:
    """The processes of the checkout's Procfile; none without one."""
    found = []
    for number, line in enumerate((read_text(root, PROCFILE) or "").splitlines(), start=1):
        if match := _LINE.fullmatch(line.strip()):
            found.append(Process(match[1], match[2], number))
    return found


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
        where=f"{PROCFILE}:{process.number}",
        found=f"{process.name}: {process.command}",
        next_step=_instead(project) or "correct that line, or write `entrypoint:` in repos.yaml",
    ).entrypoint()
    is_elsewhere = found.kind == "command" and not found.target.startswith("/app/")
    if is_elsewhere and language_marker(project.root) and (instead := _instead(project)):
        raise not_python(process.command, f"{PROCFILE}:{process.number}", instead)
    line = f"{process.name}: {process.command}"
    if stale := stale_line(project, found, f"{PROCFILE}:{process.number}", line):
        raise stale
    named = _RUNS.get(process.name)
    return replace(found, reason=f"{process.name}: in the {PROCFILE}", run=named or found.run)


_RUNS: Mapping[str, Run] = {"web": "web", "worker": "worker"}
"""What a process is for, by its name."""


def _instead(project: Project) -> str:
    """What would work for a checkout whose program is in another language."""
    return "" if python_marker(project.root) else other_kind(project.root)
