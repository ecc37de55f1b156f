"""``iac stop``, ``iac start`` and ``iac restart``: services leave the stack for a while, come back,
and get new containers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

from iac_wrapper.cli import render
from iac_wrapper.cli.change import options_of, show_deployed
from iac_wrapper.cli.group import dumps, streaming_verb
from iac_wrapper.cli.live import live
from iac_wrapper.cli.names import complete_services
from iac_wrapper.errors import IacError

if TYPE_CHECKING:
    from iac_wrapper.operations.deploy import DeployResult
    from iac_wrapper.operations.stop import StopResult
    from iac_wrapper.operations.workspace import Workspace

_services = click.argument(
    "services", nargs=-1, required=True, metavar="SERVICE...", shell_complete=complete_services
)


@streaming_verb
@_services
def stop(workspace: Workspace, as_json: bool, services: tuple[str, ...]) -> None:
    """Take services out of the stack until `iac start`, and prove that they are gone.

    Volumes, secret values and certificates stay. A deploy leaves them stopped.
    """
    from iac_wrapper.operations import stop as operation

    try:
        with live():
            stopped = operation.stop(workspace, services)
        _show_stopped(workspace, stopped, as_json)
    except operation.StopUnhealthyError as error:
        _show_stopped(workspace, error.stopped, as_json, error)
        raise


@streaming_verb
@_services
def start(workspace: Workspace, as_json: bool, services: tuple[str, ...]) -> None:
    """Bring stopped services back as they are locked, and prove that they serve.

    Nothing is fetched or built where their images are there; `iac deploy` brings them up to date.
    """
    from iac_wrapper.operations.start import start as operation

    _bring(workspace, operation, services, as_json)


@streaming_verb
@_services
def restart(workspace: Workspace, as_json: bool, services: tuple[str, ...]) -> None:
    """Give services new containers of the same version, and prove that they serve.

    What serves goes on until the new containers are proven beside it, as in a deploy; a service
    with data, or with `rollout: replace`, is replaced in place.
    """
    from iac_wrapper.operations.start import restart as operation

    _bring(workspace, operation, services, as_json)


def _bring(
    workspace: Workspace,
    operation: Callable[[Workspace, Sequence[str]], DeployResult],
    services: Sequence[str],
    as_json: bool,
) -> None:
    from iac_wrapper.operations.deploy import DeployUnhealthyError

    try:
        with live():
            done = operation(workspace, services)
        show_deployed(done, as_json, options=options_of(workspace))
    except DeployUnhealthyError as error:
        show_deployed(error.deployed, as_json, error)
        raise


def _show_stopped(
    workspace: Workspace, done: StopResult, as_json: bool, error: IacError | None = None
) -> None:
    if as_json:
        failure = {"error": error.to_dict()} if error else {}
        click.echo(dumps({"project": workspace.project, **done.to_dict(), **failure}))
        return
    if not done.services:
        click.echo("Nothing to stop.")
        return
    names = " ".join(done.services)
    click.echo(
        f"Stopped {', '.join(done.services)}; volumes, secret values and images stay."
        f" Release {done.release}.\nNext: iac start {names}{options_of(workspace)}"
    )
    if done.report:
        click.echo(f"\n{render.report_table(done.report)}")
