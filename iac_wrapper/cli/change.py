"""The verbs that change a project."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from iac_wrapper.cli import ask, render
from iac_wrapper.cli.group import columns, dumps, streaming_verb, verb
from iac_wrapper.cli.lists import (
    file_option,
    intent_of,
    locked_option,
    offline_option,
    slugs_argument,
)
from iac_wrapper.cli.live import live
from iac_wrapper.cli.names import complete_services
from iac_wrapper.errors import IacError

if TYPE_CHECKING:
    from iac_wrapper.model.intent import Intent
    from iac_wrapper.model.lock import LockFile
    from iac_wrapper.operations.deploy import DeployResult
    from iac_wrapper.operations.remove import RemoveResult
    from iac_wrapper.operations.workspace import Workspace

_yes = click.option("--yes", "-y", is_flag=True, help="Do not ask.")
_prune = click.option(
    "--prune", is_flag=True, help="Remove services that the file does not list, without asking."
)


def _plan_instead(_ctx: click.Context, _option: click.Parameter, given: bool) -> None:
    if given:
        raise click.UsageError("no such option --dry-run: `iac plan` shows what a deploy would do")


@streaming_verb
@file_option
@locked_option
@offline_option
@_prune
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Exit with 7 also for services that were broken before.",
)
@click.option(
    "--plan",
    "saved",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Do exactly what `iac plan --out FILE` showed, or nothing if that has changed.",
)
@click.option("--dry-run", is_flag=True, hidden=True, expose_value=False, callback=_plan_instead)
@slugs_argument
def deploy(
    workspace: Workspace,
    as_json: bool,
    files: tuple[Path, ...],
    locked: bool,
    offline: bool,
    prune: bool,
    everything: bool,
    saved: Path | None,
    slugs: tuple[str, ...],
) -> None:
    """Deploy the slugs of a file (or those given) and prove that they serve.

    With --file the project becomes what the file lists: services that it does not list are removed
    after a question, or with --prune. SLUGs (or service names) then choose the entries to bring up
    to date; the file's others stay as locked. Without --file, SLUGs are added to what the project
    runs.
    """
    from iac_wrapper.operations import deploy as operation

    def run(intent: Intent) -> DeployResult:
        with live():
            return operation.deploy(workspace, intent, everything=everything)

    if saved and (files or slugs or locked or offline or prune):
        raise click.UsageError("--plan takes no list and no other way to read it: FILE has both")
    try:
        if saved:
            from iac_wrapper.operations import saved_plan

            with live():
                done = saved_plan.deploy(workspace, saved, everything=everything)
        else:
            intent = intent_of(workspace, files, slugs, locked, offline, prune=prune)
            done = ask.with_consent(run, intent)
        show_deployed(done, as_json, options=options_of(workspace))
    except operation.DeployUnhealthyError as error:
        show_deployed(error.deployed, as_json, error)
        raise


@verb
@file_option
@locked_option
@offline_option
@_prune
@click.option(
    "--update",
    is_flag=True,
    help="Look anew at the refs of the entries that are named, of all if none is; the default.",
)
@slugs_argument
def lock(
    workspace: Workspace,
    as_json: bool,
    files: tuple[Path, ...],
    locked: bool,
    offline: bool,
    prune: bool,
    update: bool,
    slugs: tuple[str, ...],
) -> None:
    """Resolve, fetch and detect; write the lock file, certificates and build contexts.

    This is the step before `cdktf synth`, `cdktf diff` and `cdktf deploy`. As these make the
    project be what the lock holds, it asks before it leaves out a service that runs.

    Each ref is looked at anew. With --update NAME…, only those of the named entries of the file
    are; with --locked or --offline, none is.
    """
    from iac_wrapper.files import lock_file
    from iac_wrapper.operations.deploy import lock as operation

    if update and (locked or offline):
        raise click.UsageError("--update looks at refs anew; --locked and --offline do not")
    if update and slugs:  # names are those of the file, not of what is deployed
        files = files or (Path("repos.yaml"),)
    intent = intent_of(workspace, files, slugs, locked, offline, prune=prune)

    def run(intent: Intent) -> LockFile:
        with live():
            return operation(workspace, intent)

    written = ask.with_consent(run, intent)
    count = len(written.apps)
    text = f"Locked {count} app{'s' * (count != 1)} in {_relative(intent.lock_path)}"
    click.echo(lock_file.dump(written).rstrip() if as_json else text)


@streaming_verb
@_yes
@click.option("--volumes", is_flag=True, help="Remove the data volumes as well.")
@click.option("--if-exists", is_flag=True, help="Succeed also if there is no such project.")
def destroy(workspace: Workspace, as_json: bool, yes: bool, volumes: bool, if_exists: bool) -> None:
    """Remove everything of the project but its data volumes, and prove that nothing else is left.

    Shows what that is and has the project's name typed; without a terminal it needs --yes.
    Data goes only with --volumes.
    """
    from iac_wrapper.operations import inventory
    from iac_wrapper.operations.destroy import DestroyResult
    from iac_wrapper.operations.destroy import destroy as operation

    found = inventory.take(workspace) if if_exists else inventory.known(workspace)
    idle = found.empty or (found.only_volumes and not volumes)
    if not (yes or idle):
        ask.about_destroy(workspace.project, found, volumes=volumes)
    done = DestroyResult(0, (), found.volumes)
    if not idle:
        with live():
            done = operation(workspace, volumes=volumes)
    data = {
        "project": workspace.project,
        "resources_destroyed": done.resources,
        "swept": list(done.swept),
        "left": [],
        "volumes_kept": list(done.volumes_kept),
        "images_kept": list(done.images_kept),
        "release": done.release or None,
    }
    text = render.destroyed_text(workspace.project, done)
    if found.empty:
        text = f"There is no project {workspace.project}."
    click.echo(dumps(data) if as_json else text)


@streaming_verb
@_yes
@click.argument(
    "names", nargs=-1, required=True, metavar="NAME...", shell_complete=complete_services
)
def remove(workspace: Workspace, as_json: bool, yes: bool, names: tuple[str, ...]) -> None:
    """Take services away, with their keys and secret values; data volumes stay.

    Asks at a terminal; without one it needs --yes.
    """
    from iac_wrapper.operations import remove as operation

    names = operation.check_names(workspace, names)
    if not yes:
        ask.about_remove(workspace.project, names)
    try:
        with live():
            removed = operation.remove(workspace, names)
        _show_removed(workspace, removed, as_json)
    except operation.RemoveUnhealthyError as error:
        _show_removed(workspace, error.removed, as_json, error)
        raise


def options_of(workspace: Workspace) -> str:
    """What another command must say to mean the same project."""
    own = workspace.project == workspace.settings.project
    return "" if own else f" --project {workspace.project}"


def show_deployed(
    deployed: DeployResult, as_json: bool, error: IacError | None = None, options: str = ""
) -> None:
    """Print what a deploy or a rollback did; `options` end the next command."""
    if as_json:
        failure = {"error": error.to_dict()} if error else {}
        data = {"plan": deployed.plan.to_dict(), "release": deployed.release}
        click.echo(dumps({**deployed.report.to_dict(), **data, **failure}))
    else:
        click.echo(render.report_table(deployed.report, columns()))
        plan = f"{deployed.plan.summary} (plan {deployed.plan_hash[:12]})"
        click.echo(f"Terraform: {plan}. Release {deployed.release}.")
        if line := render.next_line(deployed.report, options):
            click.echo(line)


def _show_removed(
    workspace: Workspace, done: RemoveResult, as_json: bool, error: IacError | None = None
) -> None:
    from iac_wrapper.operations.remove import still_listed

    if as_json:
        data = {"project": workspace.project, "plan": done.plan.to_dict(), **done.to_dict()}
        data |= {"release": done.release}
        data |= {"report": done.report.to_dict()} if done.report else {}
        data |= {"error": error.to_dict()} if error else {}
        click.echo(dumps(data))
    else:
        listed = still_listed(workspace, Path("repos.yaml"), done.services)
        click.echo(render.removed_text(done.services, done.volumes, listed))
        if done.report:
            click.echo(f"\n{render.report_table(done.report, columns())}")


def _relative(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
