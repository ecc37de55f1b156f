"""The verbs with which a person runs a command as a service."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from iac_wrapper.cli import terminal
from iac_wrapper.cli.group import dumps, verb
from iac_wrapper.cli.names import complete_services

if TYPE_CHECKING:
    from iac_wrapper.operations.workspace import Workspace

_service = click.argument("service", shell_complete=complete_services)


@verb
@_service
@click.argument("command", nargs=-1, metavar="[-- COMMAND...]")
def exec_(workspace: Workspace, as_json: bool, service: str, command: tuple[str, ...]) -> None:
    """Run a command (default: a shell) in the running container of a service.

    It has the program's user, environment, secret values and folder. Its exit code is passed on.
    """
    from iac_wrapper.model.one_off import SHELL
    from iac_wrapper.operations.execute import execute

    del as_json
    at_terminal = terminal.is_one()
    talk = terminal.talk_in_terminal if at_terminal else terminal.talk_in_pipes
    wanted = command or SHELL
    sys.exit(execute(workspace, service, wanted, terminal=at_terminal, talk=talk))


@verb
@_service
@click.argument("command", nargs=-1, required=True, metavar="-- COMMAND...")
@click.option("--detach", is_flag=True, help="Print an id for `iac logs`, and do not wait.")
def run(
    workspace: Workspace, as_json: bool, service: str, command: tuple[str, ...], detach: bool
) -> None:
    """Run a command as a service, in a fresh container that is removed afterwards.

    It has the image, environment, secret values and volumes of the service, and calls others under
    its identity; nobody finds it under its name. Its exit code is passed on.
    """
    from iac_wrapper.operations import run as operation

    if detach:
        identifier = operation.detach(workspace, service, command)
        click.echo(dumps({"id": identifier}) if as_json else identifier)
        return
    at_terminal = terminal.is_one()
    talk = terminal.talk_in_terminal if at_terminal else terminal.talk_in_pipes
    sys.exit(operation.run(workspace, service, command, terminal=at_terminal, talk=talk))
