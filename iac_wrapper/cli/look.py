"""The verbs that look at what runs, and those that start what is stopped."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from iac_wrapper.cli import render
from iac_wrapper.cli.group import columns, dumps, quiet_end, verb
from iac_wrapper.cli.live import live
from iac_wrapper.cli.names import complete_services
from iac_wrapper.errors import UnhealthyError
from iac_wrapper.model.plain import plain

if TYPE_CHECKING:
    from iac_wrapper.operations.log_source import LogRecord
    from iac_wrapper.operations.workspace import Workspace

_LINES = 100
"""Lines of each container where nothing else says how many."""

_COLORS = ("cyan", "yellow", "green", "magenta", "blue", "bright_cyan", "bright_yellow")


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
    from iac_wrapper.operations.parked import parked_services
    from iac_wrapper.operations.verify import unhealthy_detail

    with live():
        report, stopped = operation(workspace, wait=wait), parked_services(workspace)
    if as_json:
        click.echo(dumps({**report.to_dict(), "stopped": [each.to_dict() for each in stopped]}))
    else:
        click.echo(render.report_table(report, columns()))
        for each in stopped:
            click.echo(plain(each.text))
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
    "--previous",
    "-p",
    is_flag=True,
    help="The last lines of the version before, which a deploy or a rollback replaced.",
)
@click.option(
    "--tail",
    "-n",
    type=click.IntRange(0, 100_000),
    help="Lines of history per container; default: 100, or all that the options below find.",
)
@click.option("--follow", "-f", is_flag=True, help="Keep running and print new lines.")
@click.option("--since", metavar="TIME", help="From then on: 10m, 1h30m or 2d ago, or a date.")
@click.option("--until", metavar="TIME", help="Up to then.")
@click.option("--grep", metavar="REGEX", help="Only lines in which this is found.")
@click.option("--timestamps", "-t", is_flag=True, help="Begin each line with its time (UTC).")
def logs(
    workspace: Workspace,
    as_json: bool,
    names: tuple[str, ...],
    services: tuple[str, ...],
    envoy: bool,
    previous: bool,
    tail: int | None,
    follow: bool,
    since: str | None,
    until: str | None,
    grep: str | None,
    timestamps: bool,
) -> None:
    """Print what services log, by time: those that are named, else all; or runs, by their ids."""
    from dataclasses import asdict

    from iac_wrapper.model import log_filter
    from iac_wrapper.operations import kept_logs
    from iac_wrapper.operations import logs as operation

    if follow and until is not None:
        raise click.UsageError("--follow or --until: what comes has no end")
    if previous and (follow or envoy):
        raise click.UsageError("--previous with neither --follow nor --envoy: its program is gone")
    now = datetime.now(UTC)
    wanted = log_filter.LogFilter(
        since=log_filter.parse_time(since, "--since", now) if since is not None else None,
        until=log_filter.parse_time(until, "--until", now) if until is not None else None,
        words=log_filter.parse_words(grep) if grep is not None else None,
    )
    number = _LINES if tail is None and not wanted.is_set else tail
    write = _line_writer(timestamps=timestamps)
    with quiet_end() if follow else nullcontext():
        roles, chosen = ("app", "envoy") if envoy else ("app",), (*names, *services)
        read = operation.follow if follow else operation.logs
        found: Iterable[LogRecord | None]
        if previous:
            found = kept_logs.previous(workspace, chosen, tail=number, wanted=wanted)
        else:
            found = read(workspace, chosen, roles=roles, tail=number, wanted=wanted)
        for record in found:
            if record is not None:
                click.echo(json.dumps(asdict(record)) if as_json else write(record))


def _line_writer(*, timestamps: bool) -> Callable[[LogRecord], str]:
    """What makes a line for people of a record; on a terminal each service has a colour."""
    colors: dict[str, str] = {}

    def write(record: LogRecord) -> str:
        own = record.role in ("app", "run")
        color = colors.setdefault(record.service, _COLORS[len(colors) % len(_COLORS)])
        name = record.service if own else f"{record.service}/{record.role}"
        # Milliseconds: the runner's clock and the engine's differ by less.
        time = f"{(record.time or '')[:23]:<23}Z " if timestamps else ""
        return f"{time}{click.style(f'{name} |', fg=color)} {plain(record.line)}"

    return write


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

    from iac_wrapper.operations import stopped_containers, unfinished_rollout
    from iac_wrapper.operations.heal import heal_recorded

    projects = workspace.engine.projects() if everything else [workspace.project]
    done = []
    for one in (replace(workspace, project=name) for name in projects):
        done += heal_recorded(one)
        unfinished_rollout.warn(one)
        if lock := one.applied_lock():
            stopped_containers.warn(one, lock)
    data = {"projects": projects, "healed": done}
    click.echo(dumps(data) if as_json else "\n".join(done) or "Nothing to heal.")
