"""``iac status``: the services of a project, what they use, and what the engine has left."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from iac_wrapper.cli.group import columns, dumps, main, quiet_end, verb
from iac_wrapper.cli.render import (
    DIGITS,
    SHORT_DIGITS,
    age_text,
    cause_text,
    commit_text,
    in_common,
)
from iac_wrapper.errors import UnhealthyError
from iac_wrapper.model.plain import plain
from iac_wrapper.model.text_table import WHOLE, WIDTH, cut, text_table

if TYPE_CHECKING:
    from iac_wrapper.operations.services import ServiceRow, Status
    from iac_wrapper.operations.workspace import Workspace

WATCH_SECONDS = 2.0
"""Between two looks."""

_STATE, _LEAST = 2, len("NOT_SERVING")
"""The column of the state in a narrow table, and to how much it may be cut."""

_HEADER = ("SERVICE", "COMMIT", "STATE", "UP", "RESTARTS", "CPU", "MEMORY", "CERT")
_SPARE = ("COMMIT", "CERT", "RESTARTS")
"""Columns that a narrow table can do without: --wide has them."""

_WIDE_HEADER = (*_HEADER, "IMAGE", "URL")


@verb
@click.option("--watch", is_flag=True, help="Look again every two seconds, until Ctrl-C.")
def status(workspace: Workspace, as_json: bool, watch: bool) -> None:
    """Show what is deployed, how it is and what it uses; `iac health` is the proof.

    Exit with 7 unless all services are good and all containers run. `iac services` is another name
    for it. With --wide, images and URLs are columns.
    """
    with quiet_end():
        while watch:
            text = _look(workspace, as_json=as_json, watch=True)[0]
            if not as_json and sys.stdout.isatty():
                click.clear()
            click.echo(text)
            time.sleep(WATCH_SECONDS)
    text, good = _look(workspace, as_json=as_json)
    click.echo(text)
    if not good:
        sys.exit(UnhealthyError.exit_code)


main.add_command(status, "services")


def _look(workspace: Workspace, *, as_json: bool, watch: bool = False) -> tuple[str, bool]:
    """What is to be printed of one look, and whether all is good."""
    from iac_wrapper.operations import schedules
    from iac_wrapper.operations.services import status as operation

    found, scheduled = operation(workspace), schedules.states(workspace)
    if as_json:
        data: dict[str, Any] = {
            "project": workspace.project,
            "good": found.good,
            "services": [row.to_dict() for row in found.services],
            "stopped": [each.to_dict() for each in found.parked],
            "stopped_containers": [each.to_dict() for each in found.stopped],
            "engine": {"version": found.engine, "disk_free_mb": found.disk_mb},
        }
        data |= {"schedule": [state.to_dict() for state in scheduled]} if scheduled else {}
        return json.dumps(data) if watch else dumps(data), found.good
    notes = [text for state in scheduled for text in state.warnings]
    text = status_text(found, datetime.now(UTC), columns())
    return plain("\n".join([text, *notes])), found.good


def status_text(found: Status, now: datetime, width: int) -> str:
    """A row per service, their URLs, and a line of the engine; times are relative to `now` (UTC).

    Args:
        found: what was seen.
        now: with a zone.
        width: of the terminal, of which the table takes 80 columns at most; WHOLE: everything.
    """
    rows = found.services
    if width == WHOLE:
        table = text_table([_WIDE_HEADER, *(_wide_row(row, now) for row in rows)])
        below = in_common([(row.app, row.identity) for row in rows])
    else:
        table, long = _narrow([_row(row, now, SHORT_DIGITS) for row in rows], min(width, WIDTH))
        below = [*long, *(f"{row.app.name}: {url}" for row in rows for url in row.urls)]
    good = sum(row.health.serving for row in rows)
    disk = "" if found.disk_mb is None else f", {found.disk_mb} MiB of disk are free"
    below += [*(each.line for each in found.stopped), *(each.text for each in found.parked)]
    last = (f"{good} of {len(rows)} services are good.", f"Docker engine {found.engine}{disk}.")
    return "\n".join([table, "", *below, *last])


def _narrow(rows: Sequence[tuple[str, ...]], width: int) -> tuple[str, list[str]]:
    """The table in the room that there is, and a line for each state that was cut.

    States are cut first; where names are long columns give way, the least needed one first.
    """
    kept = list(range(len(_HEADER)))
    longest = max((len(row[_STATE]) for row in rows), default=0)
    for name in (None, *_SPARE):
        kept = [column for column in kept if _HEADER[column] != name]
        whole = text_table([[row[column] for column in kept] for row in (_HEADER, *rows)])
        room = longest - max(0, max(map(len, whole.splitlines())) - width)
        if room >= min(longest, _LEAST):
            break
    room = max(room, _LEAST)
    fitted = [(*row[:_STATE], cut(row[_STATE], room), *row[_STATE + 1 :]) for row in rows]
    table = text_table([[row[column] for column in kept] for row in (_HEADER, *fitted)])
    return table, [f"{row[0]}: {row[_STATE]}" for row in rows if len(row[_STATE]) > room]


def _wide_row(row: ServiceRow, now: datetime) -> tuple[str, ...]:
    image = row.app.image.rpartition(":")[2][:DIGITS]
    return (*_row(row, now, DIGITS), image, " ".join(row.urls) or "-")


def _row(row: ServiceRow, now: datetime, digits: int) -> tuple[str, ...]:
    health, load, expires = row.health, row.load, row.health.expires
    way = health.way if health.serving else f"{health.status} ({cause_text(health.cause, health)})"
    return (
        row.app.name,
        commit_text(row.app, digits),
        way,
        age_text(now - row.since) if row.since else "-",
        str(row.restarts),
        f"{load.processors * 100:.0f}%" if load else "-",
        f"{load.memory >> 20}/{load.limit >> 20}M" if load else "-",
        f"{(expires - now).days}d" if expires else "-",
    )
