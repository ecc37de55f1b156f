"""What a person types to name a list, some of its entries, or slugs alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from iac_wrapper.cli.names import complete_services
from iac_wrapper.errors import ConfigError

if TYPE_CHECKING:
    from iac_wrapper.model.intent import Intent
    from iac_wrapper.model.saved_plan import PlanRequest
    from iac_wrapper.operations.workspace import Workspace

file_option = click.option(
    "--file",
    "-f",
    "files",
    type=click.Path(path_type=Path),
    metavar="F",
    multiple=True,
    help="List of slugs (YAML or JSON); default: repos.yaml, unless slugs are given."
    " Of several, a later one wins over those before it.",
)
slugs_argument = click.argument(
    "slugs", nargs=-1, metavar="[SLUG]...", shell_complete=complete_services
)
locked_option = click.option(
    "--locked",
    is_flag=True,
    help="Take the commits of the lock; an error if it is not of these entries.",
)
offline_option = click.option(
    "--offline",
    is_flag=True,
    help="Take the commits of the lock from the cache; ask no server for a source.",
)


def intent_of(
    workspace: Workspace,
    files: tuple[Path, ...],
    slugs: tuple[str, ...],
    locked: bool,
    offline: bool,
    *,
    prune: bool = False,
) -> Intent:
    """What the arguments of a verb mean.

    Raises:
        ConfigError: a list is bad, or --prune has none.
    """
    from iac_wrapper.operations.intent import from_files, from_slugs

    if slugs and not files:
        if prune:
            raise ConfigError(
                "--prune needs the complete list of the services to keep",
                found="slugs alone, which are added to what the project runs",
                next_step="name the list with --file",
            )
        return from_slugs(workspace, slugs, cwd=Path.cwd(), locked=locked, offline=offline)
    return from_files(
        *(files or [Path("repos.yaml")]),
        environment=workspace.environment,
        chosen=slugs,
        locked=locked,
        offline=offline,
        prune=prune,
    )


def request_of(
    workspace: Workspace,
    files: tuple[Path, ...],
    slugs: tuple[str, ...],
    locked: bool,
    offline: bool,
) -> PlanRequest:
    """The same arguments, so that they mean the same from another folder."""
    from iac_wrapper.model.saved_plan import PlanRequest

    lists = files or (() if slugs else (Path("repos.yaml"),))
    return PlanRequest(
        files=tuple(str(path.absolute()) for path in lists),
        slugs=slugs,
        folder=str(Path.cwd()),
        environment=workspace.environment,
        locked=locked,
        offline=offline,
    )
