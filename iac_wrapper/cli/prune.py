"""``iac prune``: room on the disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from iac_wrapper.cli import ask, render
from iac_wrapper.cli.group import dumps, verb
from iac_wrapper.model.plain import plain
from iac_wrapper.model.text_table import text_table

if TYPE_CHECKING:
    from iac_wrapper.operations.surplus import Pruned
    from iac_wrapper.operations.workspace import Workspace


@verb
@click.option("--dry-run", is_flag=True, help="Show what would go; remove nothing.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
def prune(workspace: Workspace, as_json: bool, dry_run: bool, yes: bool) -> None:
    """Remove what builds and commands of the project left and nothing needs any more.

    Images, build contexts, fetched sources, logs, ended runs and jobs, and of the build cache what
    is ours. What is deployed or can be gone back to, data, keys and the ledger stay. Asks at a
    terminal; without one it needs --yes.
    """
    from iac_wrapper.operations import surplus

    if dry_run:
        done = surplus.look(workspace)
    else:
        if not yes and (seen := surplus.look(workspace)).found:
            ask.about_prune(workspace.project, _table(seen))
        done = surplus.prune(workspace)
    if as_json:
        data = {"project": workspace.project, "dry_run": dry_run, **done.to_dict()}
        click.echo(dumps(data))
        return
    if not done.found:
        click.echo("There is nothing to remove.")
        return
    click.echo(plain(_table(done)))
    for path, free in done.before.items():
        after = "" if dry_run else f" before, {render.size_text(done.after[path])} after"
        click.echo(plain(f"disk of {path}: {render.size_text(free)} free{after}"))


def _table(done: Pruned) -> str:
    rows = [
        (kind, str(count), render.size_text(size)) for kind, (count, size) in done.kinds().items()
    ]
    return text_table([("WHAT", "COUNT", "SIZE"), *rows])
