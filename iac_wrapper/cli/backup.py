"""``iac backup`` and ``iac restore``: a project in one file, and back."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from iac_wrapper import settings
from iac_wrapper.cli import render
from iac_wrapper.cli.folder import workspace_in
from iac_wrapper.cli.group import dumps, main, tell, verb
from iac_wrapper.cli.output_file import written
from iac_wrapper.files.layout import Layout
from iac_wrapper.model.plain import plain

if TYPE_CHECKING:
    from iac_wrapper.operations.project_backup import BackedUp
    from iac_wrapper.operations.project_restore import Restored
    from iac_wrapper.operations.workspace import Workspace


@verb
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True))
@click.option("--data", is_flag=True, help="With what is in its volumes.")
def backup(workspace: Workspace, as_json: bool, file: str, data: bool) -> None:
    """Write the project to FILE (-: standard output): for another machine, or after a loss.

    State, keys, secret values, ledger, locks, settings and list of services; images, sources and
    logs are made again. FILE is not encrypted, and whoever reads it has the project's keys.
    """
    from iac_wrapper.operations.project_backup import backup as operation

    with _written(file) as out:
        done = operation(workspace, out, data=data)
    click.echo(dumps(done.to_dict()) if as_json else plain(_backed_up(done)), err=file == "-")


@main.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--no-data", is_flag=True, help="Leave out what was in its volumes.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def restore(ctx: click.Context, file: str, no_data: bool, as_json: bool) -> None:
    """Make the project that FILE (-: standard input) is a backup of, in the current folder.

    Nothing is restored over what is there. Whole or not at all; then `iac deploy` starts it.
    """
    from iac_wrapper.operations.project_restore import restore as operation

    ctx.meta["as_json"] = as_json
    opened: list[Workspace] = []

    def open_project(project: str, folder: Path) -> Workspace:
        here = Path.cwd()
        loaded = settings.load_settings(here if (here / ".env").exists() else folder)
        opened.append(workspace_in(ctx, here, loaded, project))
        return opened[0]

    with _read(file) as source:
        layout = Layout(Path.cwd())
        done = operation(source, file, layout, open_project, data=not no_data)
    click.echo(dumps(done.to_dict()) if as_json else plain(_restored(done)))
    tell(opened[0])


@contextmanager
def _written(file: str) -> Iterator[IO[bytes]]:
    """As `written`, for what must be sought in: standard output cannot."""
    if file != "-":
        with written(file) as out:
            yield out
        return
    with tempfile.TemporaryFile() as out:
        yield out
        out.seek(0)
        shutil.copyfileobj(out, sys.stdout.buffer)
        sys.stdout.buffer.flush()


@contextmanager
def _read(file: str) -> Iterator[Path]:
    """The file, or a private copy of standard input: all of it is checked before it is used."""
    if file != "-":
        yield Path(file)
        return
    with tempfile.NamedTemporaryFile() as copy:
        shutil.copyfileobj(sys.stdin.buffer, copy)
        copy.flush()
        yield Path(copy.name)


def _backed_up(done: BackedUp) -> str:
    volumes = done.manifest.volumes
    lines = [f"Backed up project {done.manifest.project}: {done.files} files and folders."]
    lines += [
        f"  volume {each.name} ({_size(each.size_bytes)}): "
        + ("with its data" if each.has_data else "without its data (--data)")
        for each in volumes
    ]
    if done.stopped:
        lines.append(f"{', '.join(done.stopped)} stood still for the copy.")
    lines.append("It holds keys and secret values, and is not encrypted: keep it like secrets/.")
    return "\n".join(lines)


def _restored(done: Restored) -> str:
    project = done.manifest.project
    lines = [f"Restored project {project} in {done.folder}: {done.files} files."]
    lines += [f"  volume {name}: with its data" for name in done.volumes]
    lines += [
        f"  volume {each.name}: without data; after `iac lock`, `iac volumes restore` has it"
        for each in done.manifest.volumes
        if each.name not in done.volumes
    ]
    lines.append(f"next: iac deploy --locked --project {project}")
    return "\n".join(lines)


def _size(count: int | None) -> str:
    return "size unknown" if count is None else render.size_text(count)
