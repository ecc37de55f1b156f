"""The verbs that need no project: they say what this version of the tool knows."""

from __future__ import annotations

from pathlib import Path

import click
from click.shell_completion import get_completion_class

from iac_wrapper import settings
from iac_wrapper.cli.folder import find_root
from iac_wrapper.cli.group import dumps, main
from iac_wrapper.errors import ConfigError
from iac_wrapper.files import machine_home

_COMPLETE = "_IAC_COMPLETE"
"""With this variable set `iac` answers a shell's question; click derives the name from `iac`."""


@main.command()
def schema() -> None:
    """Print the JSON Schema of repos.yaml, for editors and other checks."""
    from iac_wrapper.model import repos_schema

    click.echo(repos_schema.dump(), nl=False)


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def version(ctx: click.Context, as_json: bool) -> None:
    """Print the versions of iac and of what it runs with: engine, Terraform, provider, Envoy."""
    from iac_wrapper.bootstrap.doctor import ThisMachine
    from iac_wrapper.bootstrap.versions import versions
    from iac_wrapper.model.text_table import text_table

    ctx.meta["as_json"] = as_json
    try:
        root = find_root(Path.cwd(), machine_home.checkout())
    except ConfigError:
        root = None
    found = versions(ThisMachine(settings.load_settings(root)))
    if as_json:
        click.echo(dumps(found))
    else:
        click.echo(text_table([(name, text or "not found") for name, text in found.items()]))


@main.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what makes a shell complete commands, options, and the names of services and projects.

    \b
    bash, in ~/.bashrc:  eval "$(iac completion bash)"
    zsh, in ~/.zshrc:    eval "$(iac completion zsh)", after compinit
    fish:                iac completion fish > ~/.config/fish/completions/iac.fish
    """
    found = get_completion_class(shell)
    assert found is not None  # noqa: S101 - click has these three
    click.echo(found(main, {}, "iac", _COMPLETE).source())
