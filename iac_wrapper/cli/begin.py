"""The verbs with which a person begins: a folder, a machine; and the one that cdktf.json names."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import click

from iac_wrapper import settings
from iac_wrapper.cli.folder import find_root
from iac_wrapper.cli.group import main
from iac_wrapper.errors import ConfigError
from iac_wrapper.files import machine_home
from iac_wrapper.model.plain import plain
from iac_wrapper.model.redact import Redactor


@main.command()
def init() -> None:
    """Make this folder a project: repos.yaml, main.py and the files beside them.

    What is there already is kept.
    """
    from iac_wrapper.operations import project_folder

    folder = Path.cwd()
    for line in project_folder.init(folder):
        click.echo(plain(line))
    click.echo(f"""
next:
  edit repos.yaml         what to deploy
  cp .env.example .env    settings; with it the project is {project_folder.project_name(folder)}
  iac setup               once on a machine: Docker, Terraform, Node and the base images
  iac deploy""")


@main.command()
@click.pass_context
def setup(ctx: click.Context) -> None:
    """Set this machine up: Docker, Terraform, Node, base images; quick when done.

    In a project folder its settings count, and its CA is made.
    """
    from iac_wrapper.bootstrap import setup as operation
    from iac_wrapper.model.text_table import text_table

    try:
        root = find_root(Path.cwd(), machine_home.checkout())
    except ConfigError:
        root = None
    chosen = settings.load_settings(root)
    redact = ctx.meta["redact"] = Redactor(chosen.secrets)
    context = operation.context(
        chosen, root, lambda line: click.echo(redact(plain(line)), err=True)
    )
    click.echo(text_table(operation.run(context).rows))


@main.command()
def synth() -> None:
    """Run main.py, the cdktf app, as the cdktf CLI does by the line in cdktf.json."""
    from iac_wrapper.adapters.synth import argv
    from iac_wrapper.files import host, node

    root = find_root(Path.cwd(), machine_home.checkout())
    variables = []
    with suppress(ConfigError):  # main.py says what is missing
        found = host.load_host(settings.load_settings(root).machine_home)
        variables = [f"{name}={value}" for name, value in node.environment(found).items()]
    command = ("env", *variables, *argv(root))
    os.execvp(command[0], command)  # noqa: S606 - no shell; the exit code is main.py's own
