"""``iac validate``: everything that is wrong with a repos file, at once."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from iac_wrapper.cli.group import dumps, main
from iac_wrapper.errors import ConfigError
from iac_wrapper.model.plain import plain


@main.command()
@click.argument(
    "files", nargs=-1, type=click.Path(path_type=Path, exists=False), metavar="[FILE]..."
)
@click.option(
    "--file",
    "others",
    multiple=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The same, as other commands have it.",
)
@click.option("--env", "environment", metavar="NAME", help="List the services of this environment.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def validate(
    ctx: click.Context,
    files: tuple[Path, ...],
    others: tuple[Path, ...],
    environment: str | None,
    as_json: bool,
) -> None:
    """Check a repos file, or several of which a later one wins; default: repos.yaml.

    Every mistake has its line and column. Asks no engine and no server, and writes nothing. Exit
    with 2 if there is one.
    """
    from iac_wrapper.files import repos_file

    ctx.meta["as_json"] = as_json
    paths = (*files, *others) or (Path("repos.yaml"),)
    problems, specs = repos_file.problems(*paths, environment=environment)
    names = [spec.name for spec in specs]
    if as_json:
        found = [_to_dict(problem) for problem in problems]
        click.echo(dumps({"good": not problems, "problems": found, "services": names}))
    elif problems:
        click.echo(plain("\n".join(map(_shown, problems))))
        click.echo(f"\n{len(problems)} mistakes." if problems[1:] else "\n1 mistake.")
    else:
        shown = " ".join(map(str, paths))
        count = f"{len(names)} service{'s' * (len(names) != 1)}"
        click.echo(plain(f"{shown}: good, {count}: {', '.join(names)}"))
    sys.exit(ConfigError.exit_code if problems else 0)


def _shown(problem: ConfigError) -> str:
    """The error, with its column as editors and compilers write it."""
    text = str(problem)
    if problem.where and problem.column:
        text = f"{problem.where}:{problem.column}{text.removeprefix(problem.where)}"
    return text


def _to_dict(problem: ConfigError) -> dict[str, str | int | bool | None]:
    file, line, column = problem.place
    return {**problem.to_dict(), "file": file, "line": line or None, "column": column or None}
