"""``iac certs`` and ``iac renew``: the certificates of services, and of public hosts."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from iac_wrapper.cli import render
from iac_wrapper.cli.group import ListUnlessSaid, columns, dumps, main, verb_of
from iac_wrapper.cli.group import verb as main_verb
from iac_wrapper.cli.names import complete_services
from iac_wrapper.errors import CertificateError, IacError, UnhealthyError
from iac_wrapper.model.plain import plain
from iac_wrapper.model.text_table import text_table

if TYPE_CHECKING:
    from iac_wrapper.operations.ca_rotation import RotationStep
    from iac_wrapper.operations.certs import CertificateRow, Rotated
    from iac_wrapper.operations.workspace import Workspace

_SHOWN = 8
"""Digits of a serial in a table: those of a commit's kind."""


@main.group(cls=ListUnlessSaid)
def certs() -> None:
    """The certificates of services: list them, on disk and as served; issue them anew."""


verb = verb_of(certs)


@verb
def list_(workspace: Workspace, as_json: bool) -> None:
    """List the certificates of the CA, of iac itself, of the ingress and of every service.

    Exit with 4 if one on disk cannot be used, with 7 if another one is served.
    """
    from iac_wrapper.operations.certs import NEW_AUTHORITY, list_certificates

    rows = list_certificates(workspace)
    data = {"project": workspace.project, "certificates": [row.to_dict() for row in rows]}
    click.echo(dumps(data) if as_json else plain(_table(rows, columns())))
    bad = [row.name for row in rows if row.broken or row.differs or row.refused]
    if bad:
        sys.stdout.flush()
        step = f"iac certs rotate {' '.join(bad)} --project {workspace.project}"
        if any(row.name == NEW_AUTHORITY for row in rows):  # it does that as well
            step = f"iac certs rotate-ca --project {workspace.project}"
        click.echo(f"next: {step}", err=True)
    if any(row.broken for row in rows):
        sys.exit(CertificateError.exit_code)
    if bad:
        sys.exit(UnhealthyError.exit_code)


@verb
@click.argument("services", nargs=-1, metavar="[SERVICE]...", shell_complete=complete_services)
def rotate(workspace: Workspace, as_json: bool, services: tuple[str, ...]) -> None:
    """Issue certificates anew, of all or of these, and see them served; no restart.

    control-plane and ingress can be named as well. Exit with 4 if one cannot be issued, with 7 if
    a new one is not served.
    """
    from iac_wrapper.operations.certs import rotate as operation

    done = operation(workspace, services)
    data = {"project": workspace.project, "rotated": [each.to_dict() for each in done]}
    click.echo(dumps(data) if as_json else plain(_rotated(done)))
    _say_errors([each.error for each in done])
    if any(each.error for each in done):
        sys.exit(CertificateError.exit_code)
    if any(not (each.good or each.stopped) for each in done):
        step = f"iac deploy {workspace.list_arguments} --project {workspace.project}"
        click.echo(f"next: {step}, which restarts an Envoy that does not take it", err=True)
    if not all(each.good for each in done):
        sys.exit(UnhealthyError.exit_code)


@verb
def rotate_ca(workspace: Workspace, as_json: bool) -> None:
    """Put a new authority in the place of the CA, in every project of the folder; no restart.

    All trust both, then certificates are issued by the new one, then the old one is dropped. The
    new one lies in secrets/ca.next (ca.pem, ca.key, ca-chain.pem), or is made. Each step waits
    until every sidecar that runs has followed: exit with 7 if one does not, with 4 if a certificate
    cannot be issued. The command can end at any point: run it again.
    """
    from iac_wrapper.operations import ca_rotation

    steps = []
    for step in ca_rotation.rotate_ca(workspace):
        steps.append(step)
        if not as_json:
            click.echo(plain(_step(step)))
    last = steps[-1]
    if as_json:
        click.echo(dumps({"done": last.done, "steps": [each.to_dict() for each in steps]}))
    _say_errors([member.error for member in last.members])
    if any(member.error for member in last.members):
        click.echo("next: correct that; then iac certs rotate-ca goes on", err=True)
        sys.exit(CertificateError.exit_code)
    if not last.done:
        restart = f"iac deploy {workspace.list_arguments} restarts a sidecar that does not follow"
        waited = [member for member in last.members if not member.done]
        mending = dict.fromkeys(member.next_step or restart for member in waited)
        click.echo(f"next: {'; '.join(mending)}; then iac certs rotate-ca goes on", err=True)
        sys.exit(UnhealthyError.exit_code)


@main_verb
@click.argument("hosts", nargs=-1, metavar="[HOST]...")
@click.option("--force", is_flag=True, help="Renew what is not due, and wait after no failure.")
@click.option("--all", "everything", is_flag=True, help="Every project of this folder.")
def renew(
    workspace: Workspace, as_json: bool, hosts: tuple[str, ...], force: bool, everything: bool
) -> None:
    """Renew certificates that are due, of services and public hosts; exit with 4 if one cannot be
    had.

    With HOSTs, of these alone; --force is about hosts, too. A deploy, `iac admin serve` and the
    systemd timer iac-renew do the same. `iac certs rotate` renews those of services that are not
    due.
    """
    from iac_wrapper.adapters import state
    from iac_wrapper.operations import certs as operation
    from iac_wrapper.operations.public_certificates import renew as renew_public

    if everything and hosts:
        raise click.UsageError("name hosts, or --all: every project")
    projects = state.projects(workspace.layout) if everything else [workspace.project]
    found, renewed, errors = {}, {}, {}
    for project in projects:
        try:
            if not hosts:  # first: it waits for no server, and for no deploy
                renewed[project] = operation.renew(replace(workspace, project=project))
            found[project] = renew_public(replace(workspace, project=project), hosts, force=force)
        except IacError as error:  # of one project, which is not to keep others from renewing
            if not everything:
                raise
            errors[project] = error
    results = [result for each in found.values() for result in each]
    services = [each for done in renewed.values() for each in done]
    if as_json:
        data = {project: [each.to_dict() for each in done] for project, done in found.items()}
        own = {project: [each.to_dict() for each in done] for project, done in renewed.items()}
        click.echo(dumps({"projects": data, "services": own}))
    else:
        table = render.certificates_table(results, columns())
        click.echo(plain("\n".join([*_renewed(renewed), table])))
    _say_errors([*(each.error for each in services), *(result.error for result in results)])
    for project, failure in errors.items():
        click.echo(plain(f"project {project}: {failure}"), err=True)
    if any(each.error for each in services) or not all(result.good for result in results):
        sys.exit(CertificateError.exit_code)
    if errors:
        sys.exit(next(iter(errors.values())).exit_code)
    if not all(each.good for each in services):
        sys.exit(UnhealthyError.exit_code)


def _step(step: RotationStep) -> str:
    from iac_wrapper.operations.ca_rotation import OLD_SECONDS

    lines = [f"{step.phase}: {step.words}"]
    for each in step.members:
        missing = "nothing was issued" if each.error else each.missing
        if missing:
            lines.append(f"  {each.name} (project {each.project}): {missing}")
    if step.phase == "drop" and step.done:
        lines.append(
            f"HTTP connections of before take no requests after {OLD_SECONDS} s; those of TCP ports"
            " have ended."
        )
    return "\n".join(lines)


def _say_errors(errors: Sequence[IacError | None]) -> None:
    """Each in full, but for those that differ from one before by a name alone."""
    sys.stdout.flush()
    said = set()
    for error in filter(None, errors):
        cause = (error.where, error.found, error.detail)
        alike = f"{error.where}: {error.message}, for the same reason"
        click.echo(plain(alike if error.found and cause in said else str(error)), err=True)
        said.add(cause)


def _renewed(done: Mapping[str, Sequence[Rotated]]) -> list[str]:
    return [
        f"{project}: {_sentence(each)}" + (f" ({each.why})" if each.why else "")
        for project, renewed in done.items()
        for each in renewed
    ]


def _table(rows: Sequence[CertificateRow], width: int) -> str:
    from iac_wrapper.operations.leaves import left_text

    cells = [
        (
            row.name,
            (row.serial or "-")[:_SHOWN],
            (row.served or "-")[:_SHOWN],
            left_text(row.not_after) if row.not_after else "-",
            f"{row.renew_at:%Y-%m-%d %H:%M}" if row.renew_at else "-",
            row.state,
        )
        for row in rows
    ]
    header = ("NAME", "SERIAL", "SERVED", "LEFT", "RENEWED FROM", "STATE")
    table = text_table([header, *cells], width)
    identities = [uri.rpartition("/")[0] for row in rows for uri in row.uris[:1]]
    lines = [f"Identities: {each}/<name>." for each in dict.fromkeys(identities)]
    return "\n".join([table, *([""] if lines else []), *lines])


def _rotated(done: Sequence[Rotated]) -> str:
    return "\n".join(map(_sentence, done)) or "There is nothing to rotate."


def _sentence(each: Rotated) -> str:
    if each.error:
        return f"{each.name}: nothing was issued"
    serial = (each.serial or "")[:_SHOWN]
    if each.seconds is not None:
        return f"{each.name}: {serial} is served, after {each.seconds * 1000:.0f} ms"
    if each.client:
        return f"{each.name}: {serial} is issued"
    why = f": {each.stopped.text}; next: {each.stopped.next_step}" if each.stopped else ""
    return f"{each.name}: {serial} is issued, but not served yet{why}"
