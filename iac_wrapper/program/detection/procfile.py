"""Procfile: the commands by which the author's own platform runs the repository.

A service is the web process or else the worker. Others run where an entry says `processes:`; what
is not run is said.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.model.options import Run
from iac_wrapper.program.detection.command_line import CommandLine
from iac_wrapper.program.detection.project import Project
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


def main_process(processes: Sequence[Process]) -> Process | None:
    """The process that a service is: ``web``, or ``worker`` where there is no ``web``."""
    by_name = {process.name: process for process in processes}
    return by_name.get("web") or by_name.get("worker")


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
        next_step="correct that line, or write `entrypoint:` in repos.yaml",
    ).entrypoint()
    run: Run = "web" if process.name == "web" else "worker"
    return replace(found, reason=f"{process.name}: in the {PROCFILE}", run=run)
