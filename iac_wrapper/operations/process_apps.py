"""A process of an entry as a service: the entry's commit and image, and a command of its own."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

from iac_wrapper.errors import EntrypointError
from iac_wrapper.model.app import DEFAULT_PORT, AppSpec, ResolvedApp
from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.model.options import Run
from iac_wrapper.operations.workspace import Workspace
from iac_wrapper.program.detection import process_program


def process_app(
    workspace: Workspace, spec: AppSpec, entry: ResolvedApp, checkout: Path
) -> ResolvedApp:
    """The facts of a process.

    Args:
        workspace: for what is said of it.
        spec: the process as it is wanted.
        entry: the facts of the entry's own service, whose image it runs.
        checkout: the folder of the source; only read.

    Raises:
        EntrypointError: its command names what is not there.
    """
    found = process_program(checkout, spec.process, spec.entrypoint, spec.where)
    if entry.python is None:
        found = _without_python(found, spec)
    workspace.progress(
        f"{spec.name}: runs {found.display} in the image of {entry.name}", spec.name, "detect"
    )
    return replace(
        entry,
        name=spec.name,
        entrypoint=found,
        port=spec.port or DEFAULT_PORT,
        port_declared=spec.port is not None,
        env=dict(spec.env),
        run=wanted_run(spec, found),
        options=spec.options,
        notes=spec.notes,
        process_of=entry.name,
    )


def wanted_run(spec: AppSpec, entrypoint: Entrypoint) -> Run | None:
    """What the program is for: a port or a page that is written down is to be asked."""
    if spec.options.run is None and (spec.port is not None or spec.options.health):
        return "web"
    if spec.options.run is None and spec.options.tcp:
        return None  # whatever the code looks like: HTTP beside these ports has to be said
    return spec.options.run or entrypoint.run


def _without_python(found: Entrypoint, spec: AppSpec) -> Entrypoint:
    """The same in an image that has no Python of the program's, in which a shell finds programs."""
    if found.kind in ("binary", "shell"):
        return found
    if found.kind == "command":
        words = [word if "$PORT" in word else shlex.quote(word) for word in found.args]
        return replace(
            found, kind="shell", target=" ".join(["exec", found.target, *words]), args=()
        )
    raise EntrypointError(
        f"process {spec.process} is a Python program, and the image of {spec.group} has no Python",
        where=spec.where or None,
        found=f"{found.display}; {spec.group} runs an executable file",
        expected="a program that is an executable file as well",
        next_step="give it an entry of its own, with the same slug and another `name:`",
    )
