"""The verbs that need no project: they say what this version of the tool knows."""

from __future__ import annotations

import click

from iac_wrapper.cli.group import main


@main.command()
def schema() -> None:
    """Print the JSON Schema of repos.yaml, for editors and other checks."""
    from iac_wrapper.model import repos_schema

    click.echo(repos_schema.dump(), nl=False)
