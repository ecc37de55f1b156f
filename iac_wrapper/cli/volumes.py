"""``iac volumes``: the folders of services that stay."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from iac_wrapper.cli import ask, render
from iac_wrapper.cli.group import ListUnlessSaid, columns, dumps, main, verb_of
from iac_wrapper.cli.output_file import written

if TYPE_CHECKING:
    from iac_wrapper.operations.volume_copies import Copied
    from iac_wrapper.operations.workspace import Workspace


@main.group(cls=ListUnlessSaid)
def volumes() -> None:
    """The folders of services that stay: list, back up, restore, remove."""


verb = verb_of(volumes)
_yes = click.option("--yes", "-y", is_flag=True, help="Do not ask.")


@verb
def list_(workspace: Workspace, as_json: bool) -> None:
    """List the data volumes of the project, also those that no service mounts any more."""
    from iac_wrapper.operations.volumes import list_volumes

    found = list_volumes(workspace)
    data = {"project": workspace.project, "volumes": [row.to_dict() for row in found]}
    text = render.volumes_table(workspace.project, found, columns())
    click.echo(dumps(data) if as_json else text)


@verb
@click.argument("name")
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True))
@click.option("--live", is_flag=True, help="Copy while the program runs and writes.")
def backup(workspace: Workspace, as_json: bool, name: str, file: str, live: bool) -> None:
    """Write the files of volume NAME to FILE as a tar (FILE.gz: compressed; -: standard output).

    A program that uses it stands still for the copy, unless --live is given.
    """
    from iac_wrapper.operations.volume_copies import backup as operation

    with written(file) as out:
        done = operation(workspace, name, out, packed=file.endswith((".gz", ".tgz")), live=live)
    _show(done, "Backed up", as_json, quiet=file == "-")


@verb
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.argument("name")
@_yes
def restore(workspace: Workspace, as_json: bool, file: str, name: str, yes: bool) -> None:
    """Replace the files of volume NAME by those of the tar FILE (-: standard input).

    Asks if there are some; a program that uses it stands still for a moment. If the tar is damaged,
    the old files stay.
    """
    from iac_wrapper.operations.volume_copies import NotEmptyError
    from iac_wrapper.operations.volume_copies import restore as operation

    with click.open_file(file, "rb") as source:
        try:
            done = operation(workspace, name, source, agreed=yes)
        except NotEmptyError as error:
            if file == "-" or not ask.about_restore(error):
                raise
            done = operation(workspace, name, source, agreed=True)
    _show(done, "Restored", as_json)


@verb
@click.argument("name")
@_yes
def remove(workspace: Workspace, as_json: bool, name: str, yes: bool) -> None:
    """Remove volume NAME, which no container uses, with all its data.

    Has its name typed; without a terminal it needs --yes.
    """
    from iac_wrapper.operations import volumes as operation

    operation.named(workspace, name)
    if not yes:
        ask.about_volume(name, workspace.project)
    operation.remove(workspace, name)
    data = {"project": workspace.project, "removed": name}
    click.echo(dumps(data) if as_json else f"Volume {name} is gone.")


def _show(done: Copied, what: str, as_json: bool, *, quiet: bool = False) -> None:
    """To stderr if the copy itself is on standard output."""
    text = dumps(done.to_dict()) if as_json else render.copied_text(done, what)
    click.echo(text, err=quiet)
