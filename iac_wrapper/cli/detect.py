"""``iac detect``: what a deploy would run and build, without a project, an engine or a set-up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from iac_wrapper import settings
from iac_wrapper.cli import output
from iac_wrapper.cli.folder import find_root
from iac_wrapper.cli.group import dumps, main
from iac_wrapper.errors import ConfigError
from iac_wrapper.files import machine_home
from iac_wrapper.files.layout import Layout
from iac_wrapper.model.event import Event
from iac_wrapper.model.plain import plain
from iac_wrapper.model.redact import Redactor
from iac_wrapper.model.text_table import text_table

if TYPE_CHECKING:
    from iac_wrapper.operations.detect import Detected


@main.command()
@click.argument("target", required=False, metavar="[SLUG|DIR|NAME]")
@click.option(
    "--file",
    "-f",
    "files",
    type=click.Path(path_type=Path),
    metavar="F",
    multiple=True,
    help="List of slugs: look at its service NAME, with what its entry says.",
)
@click.option("--env", "environment", metavar="NAME", help="Environment of the repos file.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--dockerfile", is_flag=True, help="Print the Dockerfile that would be built.")
@click.pass_context
def detect(
    ctx: click.Context,
    target: str | None,
    files: tuple[Path, ...],
    environment: str | None,
    as_json: bool,
    dockerfile: bool,
) -> None:
    """Show what a deploy would run and build, and why; here, or for a SLUG, DIR or entry NAME.

    Needs no project, no engine and no set-up, builds nothing, and runs none of the code.
    """
    from iac_wrapper.bootstrap.pythons import MachinePythons
    from iac_wrapper.operations import detect as operation

    if as_json and dockerfile:
        raise click.UsageError("--json or --dockerfile: one output at a time")
    if environment and not files:
        raise click.UsageError("--env needs --file: an environment is one of a repos file")
    ctx.meta["as_json"] = as_json
    chosen, cache = _place()
    redact = ctx.meta["redact"] = Redactor(chosen.secrets)
    ctx.meta["quiet"] = ctx.meta.get("quiet") or (dockerfile and not ctx.meta.get("verbose"))
    emit = output.progress(ctx.meta, redact)
    if files:
        specs = operation.entry_of_files(target, files, environment)
    else:
        specs = operation.entry_of_text(target or ".", Path.cwd())

    def progress(line: str) -> None:
        emit(Event("progress", line))

    pythons = MachinePythons(chosen, progress)
    found = operation.detect(specs, chosen, cache=cache, progress=progress, pythons=pythons)
    if dockerfile:
        click.echo(redact(found.dockerfile), nl=False)
    elif as_json:
        click.echo(redact(dumps(found.to_dict())))
    else:
        click.echo(redact(plain(text_table([*_lines(found)]))))


def _place() -> tuple[settings.Settings, Path]:
    """The settings of the project folder, if this is one, and where sources are cached."""
    try:
        root = find_root(Path.cwd(), machine_home.checkout())
    except ConfigError:
        chosen = settings.load_settings(None)
        cache = Layout(chosen.machine_home.data).cache
    else:
        chosen, cache = settings.load_settings(root), Layout(root).cache
    chosen.check()
    return chosen, cache


def _lines(found: Detected) -> Iterator[tuple[str, str]]:
    """Name and text of each line; a name is empty where the one above goes on."""
    checkout = found.checkout
    commit = f"commit {checkout.commit}" if checkout.commit else "as it is on disk"
    yield "source", f"{checkout.spec.slug.text}, {commit}"
    yield "tree", checkout.tree
    for name, fact in found.facts.items():
        yield name, _shown(fact.value)
        if fact.reason:
            yield "", fact.reason
        yield from (("", f"not {loser}") for loser in fact.rejected)
    for position, note in enumerate(found.notes):
        yield "" if position else "notes", note


def _shown(value: str | Sequence[str] | Mapping[str, str] | None) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{name}={text}" for name, text in value.items()) or "none"
    if value is None or isinstance(value, str):
        return value or "none"
    return " ".join(value) or "none"
