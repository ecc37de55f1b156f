"""``iac env``: the variables of a service in a repos file, listed and changed."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from iac_wrapper.cli.group import ListUnlessSaid, columns, dumps, main, verb_of
from iac_wrapper.cli.lists import file_option
from iac_wrapper.cli.names import complete_services
from iac_wrapper.errors import ConfigError
from iac_wrapper.model.plain import plain
from iac_wrapper.model.text_table import text_table

if TYPE_CHECKING:
    from iac_wrapper.operations.edit_env import Edited
    from iac_wrapper.operations.entry_env import Variable
    from iac_wrapper.operations.workspace import Workspace


@main.group(cls=ListUnlessSaid)
def env() -> None:
    """The variables of services in a repos file: list, set, unset."""


verb = verb_of(env)
_service = click.argument("service", shell_complete=complete_services)
_MOST = 2**18
"""Bytes that are read of a secret value: twice what Linux lets one variable have."""


@verb
@file_option
@click.argument("services", nargs=-1, metavar="[SERVICE]...", shell_complete=complete_services)
def list_(
    workspace: Workspace, as_json: bool, files: tuple[Path, ...], services: tuple[str, ...]
) -> None:
    """List the variables of SERVICEs, or of all, as the file has them, and the line of each.

    What a ${NAME} stands for is not shown, only who says it.
    """
    from iac_wrapper.operations import entry_env

    lists = entry_env.read(files or (Path("repos.yaml"),), workspace.environment)
    for service in services:
        lists.check_service(service)
    rows = [row for each in services or lists.services for row in lists.variables(each).values()]
    sources = entry_env.sources(workspace, [name for row in rows for name in row.references])
    if as_json:
        data = [_to_dict(row, sources) for row in rows]
        text = dumps({"project": workspace.project, "env": data})
    else:
        text = _table(rows, sources) if rows else "No `env:` in the list."
    click.echo(workspace.redactor()(text))


@verb
@file_option
@_service
@click.argument("values", nargs=-1, metavar="[NAME=VALUE]...")
@click.option(
    "--secret",
    "secrets",
    multiple=True,
    metavar="NAME",
    help="Store the value, asked for or read from standard input, outside of the list.",
)
def set_(
    workspace: Workspace,
    as_json: bool,
    files: tuple[Path, ...],
    service: str,
    values: tuple[str, ...],
    secrets: tuple[str, ...],
) -> None:
    """Give variables of SERVICE values, in its entry of the file; with --env, in that environment.

    The rest of the file stays as it is written. A --secret goes into a file in `secrets/`, and
    ${NAME} into the list. Nothing is deployed.
    """
    from iac_wrapper.operations import edit_env

    said = _assignments(service, values, secrets)
    paths = files or (Path("repos.yaml"),)
    edit_env.check(workspace, paths, service, secrets)
    done = edit_env.set_values(workspace, paths, service, said, _ask(secrets))
    _show(workspace, paths, done, as_json, "set", "in")


@verb
@file_option
@_service
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
def unset(
    workspace: Workspace,
    as_json: bool,
    files: tuple[Path, ...],
    service: str,
    names: tuple[str, ...],
) -> None:
    """Take variables of SERVICE out of its entry; with --env, out of that environment's part.

    A stored value that nothing refers to any more goes as well. Nothing is deployed.
    """
    from iac_wrapper.operations import edit_env

    paths = files or (Path("repos.yaml"),)
    done = edit_env.unset(workspace, paths, service, names)
    _show(workspace, paths, done, as_json, "removed", "from")


def _assignments(service: str, values: Sequence[str], secrets: Sequence[str]) -> dict[str, str]:
    """The plain values by name; no error repeats a value."""
    if not values and not secrets:
        raise click.UsageError("NAME=VALUE is missing, or --secret NAME")
    for name in secrets:
        if "=" in name:
            raise ConfigError(
                "the value of a secret is no argument: other users and your shell would see it",
                where="--secret",
                expected="its name alone",
                next_step=f"iac env set {service} --secret {name.partition('=')[0]}",
            )
    said = {}
    for value in values:
        name, equals, text = value.partition("=")
        if not equals or name in secrets:
            raise ConfigError(
                f"{name} is given twice" if equals else "a variable without a value",
                where="argument",
                found=name,
                expected="NAME=VALUE, or --secret NAME",
                next_step=f"iac env set {service} NAME=VALUE",
            )
        said[name] = text
    return said


def _ask(names: Sequence[str]) -> dict[str, str]:
    """Values that no argument has, byte for byte but for a last line feed."""
    names = tuple(dict.fromkeys(names))
    if sys.stdin.isatty():
        return {name: click.prompt(f"Value of {name}", hide_input=True, err=True) for name in names}
    if names[1:]:
        raise ConfigError(
            "standard input is one value",
            found=f"{len(names)} secrets: {', '.join(names)}",
            next_step="set one after the other, or at a terminal",
        )
    if not names:
        return {}
    value = sys.stdin.buffer.read(_MOST).removesuffix(b"\n")
    if not value:
        raise ConfigError(
            f"no value of {names[0]}",
            found="nothing on standard input",
            next_step="run the command at a terminal, or pipe the value into it",
        )
    return {names[0]: os.fsdecode(value)}


def _table(rows: Sequence[Variable], sources: Mapping[str, str]) -> str:
    cells = [
        (
            row.service,
            row.name,
            row.value or '""',
            f"{row.where} ({row.origin})",
            ", ".join(sources.get(name, f"{name}: not set") for name in row.references) or "-",
        )
        for row in rows
    ]
    header = ("SERVICE", "NAME", "VALUE", "WRITTEN AT", "${…} IS FROM")
    return plain(text_table([header, *cells], columns(), names=(0, 1)))


def _to_dict(row: Variable, sources: Mapping[str, str]) -> dict[str, object]:
    return {
        "service": row.service,
        "name": row.name,
        "value": row.value,
        "origin": row.origin,
        "where": row.where,
        "references": {name: sources.get(name) for name in row.references},
    }


def _show(
    workspace: Workspace, paths: Sequence[Path], done: Edited, as_json: bool, *words: str
) -> None:
    if as_json:
        click.echo(dumps({"project": workspace.project, **done.to_dict()}))
        return
    service, *others = done.services
    if done.written:
        did, where = words
        click.echo(f"{service}: {did} {', '.join(done.written)} {where} {done.file}")
    for name, reference in done.stored.items():
        file = workspace.layout.stored_values(workspace.project).relative_to(workspace.layout.root)
        click.echo(f"{service}: stored the value of {name} in {file}, for ${{{reference}}}")
    if others:
        click.echo(f"That changes {', '.join(others)} as well.")
    for name in done.forgotten:
        click.echo(f"Nothing refers to ${{{name}}} any more: its stored value is gone.")
    for each in done.left:
        click.echo(f"{each.name} is now what {each.where} says ({each.origin}).")
    if not done.written and not done.stored:
        click.echo(f"{service}: nothing to change.")
        return
    for environment in done.environments or (workspace.environment,):
        click.echo(
            f"Next: iac deploy {_arguments(workspace, paths, environment)}"
            f" {' '.join(done.services)}"
        )


def _arguments(workspace: Workspace, paths: Sequence[Path], environment: str | None) -> str:
    """What a deploy must say to mean this list and this project."""
    words = [word for path in paths for word in ("--file", str(path))]
    words += ["--env", environment] if environment else []
    project = workspace.project
    if workspace.environment:
        project = project.removesuffix(f"-{workspace.environment}")
    if project != workspace.settings.project:
        words += ["--project", project]
    return shlex.join(words)
