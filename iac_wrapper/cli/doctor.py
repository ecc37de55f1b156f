"""``iac doctor``: what is wrong with this machine and this project, and what to type."""

from __future__ import annotations

import sys
import textwrap
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from iac_wrapper import settings
from iac_wrapper.cli.folder import find_root, open_workspace
from iac_wrapper.cli.group import columns, dumps, main
from iac_wrapper.cli.names import complete_projects
from iac_wrapper.errors import ConfigError
from iac_wrapper.files import machine_home
from iac_wrapper.model.plain import plain
from iac_wrapper.model.redact import Redactor

if TYPE_CHECKING:
    from iac_wrapper.model.checkup import Finding

_COLORS = {"PASSED": "green", "WARN": "yellow", "FAILED": "red"}
_WIDTH = 80
_OUTCOME, _NAME = max(map(len, _COLORS)), len("engine socket")


@main.command()
@click.option(
    "--project",
    metavar="NAME",
    help="Project; default: IAC_PROJECT.",
    shell_complete=complete_projects,
)
@click.option("--env", "environment", metavar="NAME", help="Environment of the repos file.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--fix", is_flag=True, help="Do what is safe, and say what was done.")
@click.pass_context
def doctor(
    ctx: click.Context, project: str | None, environment: str | None, as_json: bool, fix: bool
) -> None:
    """Look for what is wrong with this machine and, in a project folder, with the project.

    Each check is PASSED, WARN or FAILED, with what was seen and the next command. Exit with 0 if
    none FAILED, else with the code of a command that meets the first failure.
    """
    ctx.meta["as_json"] = as_json
    found: list[tuple[str, Finding]] = []
    for part, finding in _findings(ctx, project, environment, fix=fix):
        if not as_json:
            if not found or found[-1][0] != part:
                click.secho(part, bold=True)
            for line in _lines(ctx.meta["redact"], finding):
                click.echo(line)
        found.append((part, finding))
    failed = [finding for _, finding in found if finding.outcome == "FAILED"]
    if as_json:
        checks = [{"part": part, **finding.to_dict()} for part, finding in found]
        click.echo(ctx.meta["redact"](dumps({"good": not failed, "checks": checks})))
    else:
        counts = Counter(str(finding.outcome) for _, finding in found)
        numbers = ", ".join(f"{counts[each]} {each}" for each in _COLORS if counts[each])
        click.echo(f"\n{len(found)} checks: {numbers}.")
    sys.exit(failed[0].exit_code if failed else 0)


def _findings(
    ctx: click.Context, project: str | None, environment: str | None, *, fix: bool
) -> Iterator[tuple[str, Finding]]:
    """Every finding, with the part that it is of; later checks know those of earlier ones."""
    from iac_wrapper.bootstrap import doctor as machine_part
    from iac_wrapper.model.checkup import examine
    from iac_wrapper.operations import doctor as project_part

    root = _root()
    done = []
    ctx.meta["redact"] = Redactor(_settings(root).secrets)
    for finding in examine(project_part.SETTINGS_CHECKS, root, fix=fix):
        done.append(finding)
        yield "settings", finding
    machine = machine_part.ThisMachine(_settings(root))
    for finding in examine(machine_part.checks(machine), machine, fix=fix, before=tuple(done)):
        done.append(finding)
        yield "machine", finding
    if root is None or done[0].outcome == "FAILED":  # a project's name may be what is wrong
        return
    workspace = open_workspace(ctx, project, environment)
    ctx.meta["redact"] = workspace.redactor()
    for finding in examine(project_part.PROJECT_CHECKS, workspace, fix=fix, before=tuple(done)):
        yield f"project {workspace.project}", finding


def _root() -> Path | None:
    try:
        return find_root(Path.cwd(), machine_home.checkout())
    except ConfigError:
        return None


def _settings(root: Path | None) -> settings.Settings:
    """Those of the folder, without its `.env` if that cannot be read: a check says so."""
    try:
        return settings.load_settings(root)
    except ConfigError:
        return settings.load_settings(None)


def _lines(redact: Redactor, finding: Finding) -> Iterator[str]:
    """What a person reads of a finding."""
    indent = " " * (_OUTCOME + _NAME + 4)
    width = max(30, min(columns(), _WIDTH) - len(indent))
    did = f"did: {finding.fixed}" if finding.fixed else ""
    step = f"next: {finding.next_step}" if finding.next_step else ""
    lines = [
        *textwrap.wrap(redact(plain(finding.evidence)), width),
        *textwrap.wrap(redact(plain(did)), width),
        # A command is there to be copied: its words stay whole.
        *textwrap.wrap(redact(plain(step)), width, break_long_words=False, break_on_hyphens=False),
    ]
    outcome = click.style(finding.outcome.ljust(_OUTCOME), fg=_COLORS[finding.outcome])
    yield f"{outcome}  {finding.name.ljust(_NAME)}  {lines[0]}"
    yield from (indent + line for line in lines[1:])
