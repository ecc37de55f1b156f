"""``iac notifications``: what was told to the receiver of notifications, and what was not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from iac_wrapper.cli.group import dumps, verb
from iac_wrapper.model.plain import plain
from iac_wrapper.model.text_table import text_table

if TYPE_CHECKING:
    from iac_wrapper.model.notification import Notification
    from iac_wrapper.operations.workspace import Workspace


@verb
@click.option("-n", "limit", type=click.IntRange(1), default=20, show_default=True, metavar="N")
@click.option("--send", is_flag=True, help="Send at once what is not delivered.")
def notifications(workspace: Workspace, as_json: bool, limit: int, send: bool) -> None:
    """Show what was told to the receiver of notifications (IAC_NOTIFY_URL), newest first."""
    from iac_wrapper.operations import notifications as operation

    found = operation.send_everything(workspace) if send else operation.told(workspace, limit=limit)
    if as_json:
        click.echo(dumps({"project": workspace.project, **found.to_dict()}))
    elif found.notifications:
        click.echo(plain(_table(found.notifications)))
    elif send:
        click.echo(f"All is delivered to {found.receiver}.")
    else:
        nobody = "Nobody is notified: IAC_NOTIFY_URL is not set."
        click.echo("There was nothing to tell yet." if found.receiver else nobody)


def _table(told: Sequence[Notification]) -> str:
    head = ("N", "WHAT", "VERDICT", "STATE", "ATTEMPTS", "LAST")
    rows = [
        (
            str(each.entry.number),
            each.entry.kind,
            each.entry.verdict,
            each.state,
            str(len(each.attempts)),
            each.fault or "-",
        )
        for each in told
    ]
    return text_table([head, *rows])
