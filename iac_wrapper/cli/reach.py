"""The verbs by which a person reaches what is deployed, and sees what there is."""

from __future__ import annotations

import webbrowser
from typing import TYPE_CHECKING

import click

from iac_wrapper.cli import render
from iac_wrapper.cli.group import columns, dumps, quiet_end, verb
from iac_wrapper.cli.names import complete_services
from iac_wrapper.model.plain import plain

if TYPE_CHECKING:
    from iac_wrapper.operations.proxy import OpenWay
    from iac_wrapper.operations.workspace import Workspace


@verb
@click.argument(
    "words",
    nargs=-1,
    required=True,
    metavar="SERVICE[:PORT] [LOCAL]...",
    shell_complete=complete_services,
)
def proxy(workspace: Workspace, as_json: bool, words: tuple[str, ...]) -> None:
    """Make services answer on ports of this machine, as plain HTTP, until Ctrl-C.

    LOCAL is the port on 127.0.0.1, else a free one. PORT is one of the service's `tcp:` ports,
    whose bytes are passed on as they are.
    """
    from iac_wrapper.model.way import parse_ways
    from iac_wrapper.operations.proxy import open_ways

    with quiet_end(), open_ways(workspace, parse_ways(words)) as ways:
        if as_json:
            found = [_way_to_dict(way) for way in ways.open]
            click.echo(dumps({"project": workspace.project, "proxies": found}))
        else:
            for way in ways.open:
                click.echo(f"{way.service}: {way.address}")
            click.echo("Ctrl-C ends it.", err=True)
        ways.wait()


@verb
@click.argument("service", metavar="SERVICE", shell_complete=complete_services)
@click.argument("path", default="/", metavar="[PATH]")
def open_(workspace: Workspace, as_json: bool, service: str, path: str) -> None:
    """Open a service in the browser; without a URL of its own, through a proxy until Ctrl-C."""
    from iac_wrapper.model.way import Way
    from iac_wrapper.operations import ingress
    from iac_wrapper.operations.proxy import find_web, open_ways

    path = f"/{path.removeprefix('/')}"
    lock = workspace.deployed_lock()
    if urls := ingress.urls(workspace, lock, find_web(workspace, lock, service)):
        _browse(urls[0].removesuffix("/") + path, as_json)
        return
    with quiet_end(), open_ways(workspace, [Way(service)]) as ways:
        (way,) = ways.open
        _browse(f"http://{service}.localhost:{way.local_port}{path}", as_json)
        click.echo("Ctrl-C ends the proxy behind it.", err=True)
        ways.wait()


@verb
def policy(workspace: Workspace, as_json: bool) -> None:
    """Show who may call whom, by which rules, and who did since the sidecars started."""
    from iac_wrapper.operations.parked import parked_services
    from iac_wrapper.operations.policy import policy as operation

    rows, stopped = operation(workspace), parked_services(workspace)
    if as_json:
        data = {"services": [row.to_dict() for row in rows]}
        data["stopped"] = [each.to_dict() for each in stopped]
        click.echo(dumps({"project": workspace.project, **data}))
    else:
        table = render.policy_table(rows, columns())
        click.echo(plain("\n".join([table, *(each.text for each in stopped)])))


def _browse(url: str, as_json: bool) -> None:
    """Say the URL and show it, where there is something to show it with."""
    click.echo(dumps({"url": url}) if as_json else url)
    if not webbrowser.open(url):
        click.echo("No browser was found here: open the address in yours.", err=True)


def _way_to_dict(way: OpenWay) -> dict[str, str | int | None]:
    return {
        "service": way.service,
        "address": way.address,
        "local_port": way.local_port,
        "tcp_port": way.tcp_port,
    }
