"""``iac rollback``: back to what an earlier release had."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from iac_wrapper.cli import render
from iac_wrapper.cli.change import options_of, show_deployed
from iac_wrapper.cli.group import dumps, streaming_verb
from iac_wrapper.cli.live import live
from iac_wrapper.model.plain import plain

if TYPE_CHECKING:
    from iac_wrapper.operations.workspace import Workspace


@streaming_verb
@click.option(
    "--to",
    type=click.IntRange(1),
    metavar="N",
    help="The release; default: the good one before the one that serves.",
)
@click.option("--dry-run", is_flag=True, help="Show what it would change; change nothing.")
@click.argument("services", nargs=-1, metavar="[SERVICE]...")
def rollback(
    workspace: Workspace, as_json: bool, to: int | None, dry_run: bool, services: tuple[str, ...]
) -> None:
    """Bring services (default: all) back to what they had after release N, and prove them.

    Images, variables, ports and options are those of the release; values of secrets are today's.
    Nothing is built or fetched. What serves goes on until the older version is proven beside it.
    Services that the release does not have stay as they are.
    """
    from iac_wrapper.operations import deploy
    from iac_wrapper.operations import rollback as operation

    if dry_run:
        with live():
            planned = operation.plan(workspace, services, to=to)
        data = {"project": workspace.project, **planned.to_dict()}
        text = render.plan_text(planned.services, planned.others, empty=planned.empty)
        click.echo(dumps(data) if as_json else plain(text))
        return
    try:
        with live():
            done = operation.rollback(workspace, services, to=to)
        show_deployed(done, as_json, options=options_of(workspace))
    except deploy.DeployUnhealthyError as error:
        show_deployed(error.deployed, as_json, error)
        raise
