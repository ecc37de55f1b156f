"""``iac admin``: the HTTP API, as a command that `iac` finds by its entry point."""

from __future__ import annotations

import click

from iac_wrapper.cli.folder import open_workspace
from iac_wrapper.model.plain import plain


@click.group()
def admin() -> None:
    """The HTTP API for remote deploys."""


@admin.command()
@click.pass_context
def serve(ctx: click.Context) -> None:
    """Serve the admin API until Ctrl-C, on loopback and a Unix socket.

    Deployments that run then go on; the next start takes them up.
    """
    from admin.serve import serve as run  # noqa: PLC0415 - `iac --help` must not pay for it

    ctx.meta["as_json"] = False
    workspace = open_workspace(ctx, None)
    redact = ctx.meta["redact"]
    run(
        workspace.layout,
        workspace.settings,
        lambda line: click.echo(redact(plain(line)), err=True),
    )
