"""``iac schedule``: commands at the times of a crontab."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from iac_wrapper.cli import render
from iac_wrapper.cli.group import ListUnlessSaid, columns, dumps, main, verb_of
from iac_wrapper.errors import UnhealthyError
from iac_wrapper.model.plain import plain

if TYPE_CHECKING:
    from iac_wrapper.operations.workspace import Workspace


@main.group(cls=ListUnlessSaid)
def schedule() -> None:
    """The commands of `schedule:`: list, run what is due."""


verb = verb_of(schedule)


@verb
def list_(workspace: Workspace, as_json: bool) -> None:
    """List scheduled commands: when each is due next, and how it ended last."""
    from iac_wrapper.operations.parked import parked_services
    from iac_wrapper.operations.schedules import states

    lock = workspace.deployed_lock()
    found = states(workspace)
    stopped = [each for each in parked_services(workspace, lock) if each.app.options.schedule]
    data = {
        "project": workspace.project,
        "schedule": [state.to_dict() for state in found],
        "stopped": [each.to_dict() for each in stopped],
    }
    table = [render.schedule_table(found, columns())] if found or not stopped else []
    lines = [*table, *(each.text for each in stopped)]
    click.echo(dumps(data) if as_json else plain("\n".join(lines)))


@verb
@click.option("--all", "everything", is_flag=True, help="Every project of this folder.")
def run_due(workspace: Workspace, as_json: bool, everything: bool) -> None:
    """Run what is due, and wait for its end; exit with 7 if something failed.

    `iac admin serve` and the systemd timer iac-schedule do it each minute.
    """
    from iac_wrapper.adapters import state
    from iac_wrapper.operations.run_schedule import run_due as operation

    projects = state.projects(workspace.layout) if everything else [workspace.project]
    runs = operation([replace(workspace, project=project) for project in projects])
    done = [
        {
            "project": each.workspace.project,
            "service": each.entry.service,
            "name": each.entry.name,
            **each.result.to_dict(),
        }
        for each in runs
    ]
    lines = [f"{each.entry.key}: {each.result.text}" for each in runs]
    click.echo(dumps({"runs": done}) if as_json else plain("\n".join(lines)) or "Nothing is due.")
    if not all(each.result.good for each in runs):
        sys.exit(UnhealthyError.exit_code)
