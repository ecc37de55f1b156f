"""``iac plan``: what a deploy would change."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from iac_wrapper.cli import render
from iac_wrapper.cli.change import options_of
from iac_wrapper.cli.group import dumps, verb
from iac_wrapper.cli.lists import (
    file_option,
    intent_of,
    locked_option,
    offline_option,
    request_of,
    slugs_argument,
)
from iac_wrapper.cli.live import live
from iac_wrapper.model.plain import plain

if TYPE_CHECKING:
    from iac_wrapper.operations.workspace import Workspace


@verb
@file_option
@locked_option
@offline_option
@slugs_argument
@click.option(
    "--detailed-exitcode",
    is_flag=True,
    help="Exit with 0 without changes, 2 with changes or a service that is not healthy,"
    " 1 for bad input.",
)
@click.option("--full", is_flag=True, help="Show Terraform's own plan instead.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Save the plan, for `iac deploy --plan FILE`.",
)
def plan(
    workspace: Workspace,
    as_json: bool,
    files: tuple[Path, ...],
    locked: bool,
    offline: bool,
    slugs: tuple[str, ...],
    detailed_exitcode: bool,
    full: bool,
    out: Path | None,
) -> None:
    """Show what deploy would change for each service, and why; changes nothing.

    Services that are not healthy are told as well, though a deploy leaves them so.
    """
    from iac_wrapper.operations.parked import parked_services
    from iac_wrapper.operations.plan import plan as operation

    ctx = click.get_current_context()
    ctx.meta["detailed_exitcode"] = detailed_exitcode
    data: dict[str, Any] = {"project": workspace.project}
    if out:
        from iac_wrapper.operations import saved_plan

        request = request_of(workspace, files, slugs, locked, offline)
        with live():
            planned, sha256 = saved_plan.save(workspace, request, out, full=full)
        data["saved"] = {"file": str(out), "sha256": sha256}
    else:
        intent = intent_of(workspace, files, slugs, locked, offline)
        with live():
            planned = operation(workspace, intent, full=full)
    stopped = [each.to_dict() for each in parked_services(workspace, planned.lock)]
    data |= {**planned.to_dict(), "stopped": stopped}
    text = planned.full or render.plan_text(
        planned.services, planned.others, planned.unhealthy, empty=planned.empty
    )
    click.echo(dumps(data) if as_json else plain(text))
    if out and not as_json:
        apply = f"iac deploy --plan {out}{options_of(workspace)}"
        click.echo(f"Saved in {out} ({sha256[:12]}). Next: {apply}")
    if detailed_exitcode and (planned.unhealthy or not planned.empty):
        sys.exit(2)
