"""The verbs that look at what runs, and those that start what is stopped."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING

import click

from iac_wrapper.cli import render
from iac_wrapper.cli.group import columns, dumps, quiet_end, verb
from iac_wrapper.cli.names import complete_services
from iac_wrapper.errors import UnhealthyError
from iac_wrapper.model.plain import plain

if TYPE_CHECKING:
    from iac_wrapper.operations.workspace import Workspace


@verb
@click.option(
    "--wait",
    type=click.FloatRange(0, 3600),
    default=0,
    metavar="SECONDS",
    help="Wait so long for services to become SERVING.",
)
def health(workspace: Workspace, as_json: bool, wait: float) -> None:
    """Ask every service over mTLS; exit with 7 unless all are healthy."""
    from iac_wrapper.operations.health import health as operation
    from iac_wrapper.operations.verify import unhealthy_detail

    report = operation(workspace, wait=wait)
    click.echo(dumps(report.to_dict()) if as_json else render.report_table(report, columns()))
    if not report.good:
        sys.stdout.flush()
        click.echo(plain(unhealthy_detail(report.services)), err=True)
        sys.exit(UnhealthyError.exit_code)


@verb
@click.argument("names", nargs=-1, metavar="[SERVICE|ID]...", shell_complete=complete_services)
@click.option(
    "--service",
    "-s",
    "services",
    multiple=True,
    metavar="S",
    help="Only this service.",
    shell_complete=complete_services,
)
@click.option("--envoy", is_flag=True, help="Also show what Envoy logs.")
@click.option(
    "--tail",
    type=click.IntRange(0, 100_000),
    default=100,
    show_default=True,
    help="Lines of history per container.",
)
@click.option("--follow", is_flag=True, help="Keep running and print new lines.")
def logs(
    workspace: Workspace,
    as_json: bool,
    names: tuple[str, ...],
    services: tuple[str, ...],
    envoy: bool,
    tail: int,
    follow: bool,
) -> None:
    """Print what services log: those that are named, else all; or runs, by their ids."""
    from dataclasses import asdict

    from iac_wrapper.operations import logs as operation

    roles = ("app", "envoy") if envoy else ("app",)
    read = operation.follow if follow else operation.logs
    with quiet_end() if follow else nullcontext():
        for record in read(workspace, (*names, *services), roles=roles, tail=tail):
            if record is None:
                continue
            own = record.role in ("app", "run")
            name = record.service if own else f"{record.service}/{record.role}"
            text = f"{name} | {plain(record.line)}"
            click.echo(json.dumps(asdict(record)) if as_json else text)


@verb
@click.option("--all", "everything", is_flag=True, help="Keep every project of this folder.")
def keep(workspace: Workspace, as_json: bool, everything: bool) -> None:
    """Keep services running until ended: start again what died, hangs or was left behind.

    A deploy starts this in the background; a service manager runs it with --all."""
    from iac_wrapper.operations import keeping

    del as_json
    with quiet_end():
        if everything:
            keeping.keep_all(workspace)
        else:
            keeping.keep_one(workspace)


@verb
@click.option("--all", "everything", is_flag=True, help="Heal every project on this engine.")
def heal(workspace: Workspace, as_json: bool, everything: bool) -> None:
    """Start what is stopped, also what a person stopped. Idempotent."""
    from dataclasses import replace

    from iac_wrapper.operations.heal import heal_recorded, warn_of_missing

    projects = workspace.engine.projects() if everything else [workspace.project]
    done = []
    for one in (replace(workspace, project=name) for name in projects):
        done += heal_recorded(one)
        warn_of_missing(one)
    data = {"projects": projects, "healed": done}
    click.echo(dumps(data) if as_json else "\n".join(done) or "Nothing to heal.")
