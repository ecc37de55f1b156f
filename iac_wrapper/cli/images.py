"""``iac images``: what builds left on the engine, and why."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from iac_wrapper.cli import ask, render
from iac_wrapper.cli.group import ListUnlessSaid, columns, dumps, main, verb_of
from iac_wrapper.model.plain import plain
from iac_wrapper.model.text_table import text_table

if TYPE_CHECKING:
    from iac_wrapper.operations.images import KeptImage, Why
    from iac_wrapper.operations.workspace import Workspace

_WHY: dict[Why, str] = {
    "deployed": "deployed",
    "proven": "to go back to",
    "spare": "for a next deploy",
    "elsewhere": "of another folder's project",
    "surplus": "nothing needs it",
}


@main.group(cls=ListUnlessSaid)
def images() -> None:
    """The images of services: list, remove what no deployed version needs."""


verb = verb_of(images)
_all = click.option("--all", "everything", is_flag=True, help="Every project on this engine.")


@verb
@_all
def list_(workspace: Workspace, as_json: bool, everything: bool) -> None:
    """List the images of the project's services: how large, when last used, and why they are kept.

    Sizes include the layers that images share.
    """
    from iac_wrapper.operations.images import list_images

    rows = list_images(workspace, everything=everything)
    data = {"project": workspace.project, "images": [row.to_dict() for row in rows]}
    click.echo(dumps(data) if as_json else plain(_table(rows, columns())))


@verb
@_all
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
def prune(workspace: Workspace, as_json: bool, everything: bool, yes: bool) -> None:
    """Remove the images that are neither deployed nor kept to go back to.

    Asks at a terminal; without one it needs --yes. A next deploy builds what it needs anew.
    """
    from iac_wrapper.operations import images as operation

    idle = operation.idle(workspace, everything=everything)
    if idle and not yes:
        ask.about_images(workspace.project, [row.image.name for row in idle], everything=everything)
    gone = operation.prune(workspace, everything=everything) if idle else []
    data = {"project": workspace.project, "removed": [row.image.name for row in gone]}
    text = "\n".join(f"removed {row.image.name}" for row in gone) or "There is nothing to remove."
    click.echo(dumps(data) if as_json else plain(text))


def _table(rows: Sequence[KeptImage], width: int) -> str:
    if not rows:
        return "There are no images of services."
    now = datetime.now(UTC)
    cells = [
        (
            row.image.project,
            row.image.service,
            row.image.name.rpartition(":")[2],
            render.size_text(row.image.size),
            f"{render.age_text(now - row.used_at)} ago",
            _WHY[row.why],
        )
        for row in rows
    ]
    header = ("PROJECT", "SERVICE", "TAG", "SIZE", "LAST USED", "KEPT")
    return text_table([header, *cells], width, names=(0, 1))
