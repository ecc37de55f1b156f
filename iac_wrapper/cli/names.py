"""Names that a shell completes: services and projects of the folder, as they lie on disk.

A person waits for each key: no engine is asked, and what cannot be read completes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from iac_wrapper import settings
from iac_wrapper.cli.folder import find_root
from iac_wrapper.errors import IacError
from iac_wrapper.files import machine_home
from iac_wrapper.files.layout import Layout

_Completer = Callable[[click.Context, click.Parameter, str], list[str]]


def _quietly(find: Callable[[click.Context, Path], list[str]]) -> _Completer:
    def complete(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
        folder = ctx.find_root().params.get("folder") or "."
        try:
            root = find_root(Path(folder).resolve(), machine_home.checkout())
            found = find(ctx, root)
        except (IacError, OSError):
            return []
        return [name for name in found if name.startswith(incomplete)]

    return complete


def _services(ctx: click.Context, root: Path) -> list[str]:
    from iac_wrapper.adapters import state

    project = ctx.params.get("project") or settings.load_settings(root).project
    if environment := ctx.params.get("environment"):
        project = settings.check_environment(project, environment)
    lock = state.applied_lock(Layout(root).state(project))
    return [app.name for app in lock.all_apps] if lock else []


def _projects(_: click.Context, root: Path) -> list[str]:
    from iac_wrapper.adapters import state

    return state.projects(Layout(root))


complete_services, complete_projects = _quietly(_services), _quietly(_projects)
"""For `shell_complete` of an argument or option."""
