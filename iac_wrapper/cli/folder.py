"""From the folder that a command is given in to a Workspace that says its progress on stderr."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from iac_wrapper import settings
from iac_wrapper.cli import output
from iac_wrapper.errors import ConfigError
from iac_wrapper.files import machine_home
from iac_wrapper.files.layout import Layout
from iac_wrapper.model.event import Event
from iac_wrapper.model.redact import Redactor
from iac_wrapper.settings import Settings

if TYPE_CHECKING:
    from iac_wrapper.operations.workspace import Workspace


def open_workspace(
    ctx: click.Context, project: str | None, environment: str | None = None
) -> Workspace:
    """The Workspace of `project`, else of the setting; its redactor goes into ``ctx.meta``.

    With an `environment` it is that one's project, which is said.
    """
    name = settings.check_project(project, where="--project") if project else None
    root = find_root(Path.cwd(), machine_home.checkout())
    return workspace_in(ctx, root, settings.load_settings(root), name, environment)


def workspace_in(
    ctx: click.Context,
    root: Path,
    loaded: Settings,
    project: str | None,
    environment: str | None = None,
) -> Workspace:
    """The same in a folder, which need not be a project's yet."""
    from iac_wrapper.bootstrap.pythons import MachinePythons
    from iac_wrapper.operations.workspace import Workspace

    loaded.check()
    redact = ctx.meta["redact"] = Redactor(loaded.secrets)
    name = project or loaded.project
    emit = output.progress(ctx.meta, redact)
    if environment is not None:  # an empty one, of an unset variable, is a mistake
        name = settings.check_environment(name, environment)
        emit(Event("step", f"Project {name} (environment {environment})"))
    pythons = MachinePythons(loaded, lambda line: emit(Event("progress", line)))
    return Workspace(Layout(root), loaded, name, emit, environment=environment, pythons=pythons)


def find_root(start: Path, own: Path | None) -> Path:
    """The project folder: the nearest folder at or above `start` with cdktf.json and main.py,
    else `own`, the checkout that runs, if there is one.

    Raises:
        ConfigError: there is none.
    """
    for folder in (start, *start.parents, *([own] if own else [])):
        if all((folder / name).is_file() for name in ("cdktf.json", "main.py")):
            return folder
    raise ConfigError(
        "not in a project folder",
        found=str(start),
        expected="a folder with cdktf.json and main.py, here or above",
        next_step="iac init (makes one here), or iac -C FOLDER with your project's folder",
    )
