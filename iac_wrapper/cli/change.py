"""The verbs that change a project, and the plan of a change."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from iac_wrapper.cli import ask, render
from iac_wrapper.cli.group import columns, dumps, verb
from iac_wrapper.cli.names import complete_services
from iac_wrapper.errors import ConfigError, IacError
from iac_wrapper.model.plain import plain

if TYPE_CHECKING:
    from iac_wrapper.model.intent import Intent
    from iac_wrapper.operations.deploy import DeployResult
    from iac_wrapper.operations.remove import RemoveResult
    from iac_wrapper.operations.workspace import Workspace

_file = click.option(
    "--file",
    "-f",
    "files",
    type=click.Path(path_type=Path),
    metavar="F",
    multiple=True,
    help="List of slugs (YAML or JSON); default: repos.yaml, unless slugs are given."
    " Of several, a later one wins over those before it.",
)
_slugs = click.argument("slugs", nargs=-1, metavar="[SLUG]...", shell_complete=complete_services)
_locked = click.option(
    "--locked",
    is_flag=True,
    help="Take the commits of the lock; an error if it is not of these entries.",
)
_offline = click.option(
    "--offline",
    is_flag=True,
    help="Take the commits of the lock from the cache; ask no server for a source.",
)
_yes = click.option("--yes", "-y", is_flag=True, help="Do not ask.")
_prune = click.option(
    "--prune", is_flag=True, help="Remove services that the file does not list, without asking."
)


def _plan_instead(_ctx: click.Context, _option: click.Parameter, given: bool) -> None:
    if given:
        raise click.UsageError("no such option --dry-run: `iac plan` shows what a deploy would do")


@verb
@_file
@_locked
@_offline
@_prune
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Exit with 7 also for services that were broken before.",
)
@click.option("--dry-run", is_flag=True, hidden=True, expose_value=False, callback=_plan_instead)
@_slugs
def deploy(
    workspace: Workspace,
    as_json: bool,
    files: tuple[Path, ...],
    locked: bool,
    offline: bool,
    prune: bool,
    everything: bool,
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
        return operation.deploy(workspace, intent, everything=everything)

    try:
        intent = _intent(workspace, files, slugs, locked, offline, prune=prune)
        show_deployed(ask.with_consent(run, intent), as_json, options=options_of(workspace))
    except operation.DeployUnhealthyError as error:
        show_deployed(error.deployed, as_json, error)
        raise


@verb
@_file
@_locked
@_offline
@_slugs
@click.option(
    "--detailed-exitcode",
    is_flag=True,
    help="Exit with 0 without changes, 2 with changes, 1 for bad input.",
)
@click.option("--full", is_flag=True, help="Show Terraform's own plan instead.")
def plan(
    workspace: Workspace,
    as_json: bool,
    files: tuple[Path, ...],
    locked: bool,
    offline: bool,
    slugs: tuple[str, ...],
    detailed_exitcode: bool,
    full: bool,
) -> None:
    """Show what deploy would change for each service, and why; changes nothing.

    Services that are not healthy are told as well, though a deploy leaves them so.
    """
    from iac_wrapper.operations.plan import plan as operation

    ctx = click.get_current_context()
    ctx.meta["detailed_exitcode"] = detailed_exitcode
    planned = operation(workspace, _intent(workspace, files, slugs, locked, offline), full=full)
    data = {"project": workspace.project, **planned.to_dict()}
    text = planned.full or render.plan_text(
        planned.services, planned.others, planned.unhealthy, empty=planned.empty
    )
    click.echo(dumps(data) if as_json else plain(text))
    if detailed_exitcode and (planned.unhealthy or not planned.empty):
        sys.exit(2)


@verb
@_file
@_locked
@_offline
@_prune
@click.option(
    "--update",
    is_flag=True,
    help="Look anew at the refs of the entries that are named, of all if none is; the default.",
)
@_slugs
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
    intent = _intent(workspace, files, slugs, locked, offline, prune=prune)
    written = ask.with_consent(partial(operation, workspace), intent)
    count = len(written.apps)
    text = f"Locked {count} app{'s' * (count != 1)} in {_relative(intent.lock_path)}"
    click.echo(lock_file.dump(written).rstrip() if as_json else text)


@verb
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
    nothing = DestroyResult(0, (), found.volumes)
    done = nothing if idle else operation(workspace, volumes=volumes)
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


@verb
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
        _show_removed(workspace, operation.remove(workspace, names), as_json)
    except operation.RemoveUnhealthyError as error:
        _show_removed(workspace, error.removed, as_json, error)
        raise


def _intent(
    workspace: Workspace,
    files: tuple[Path, ...],
    slugs: tuple[str, ...],
    locked: bool,
    offline: bool,
    *,
    prune: bool = False,
) -> Intent:
    from iac_wrapper.operations.intent import from_files, from_slugs

    if slugs and not files:
        if prune:
            raise ConfigError(
                "--prune needs the complete list of the services to keep",
                found="slugs alone, which are added to what the project runs",
                next_step="name the list with --file",
            )
        return from_slugs(workspace, slugs, cwd=Path.cwd(), locked=locked, offline=offline)
    return from_files(
        *(files or [Path("repos.yaml")]),
        environment=workspace.environment,
        chosen=slugs,
        locked=locked,
        offline=offline,
        prune=prune,
    )


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
            click.echo(f"\n{render.report_table(done.report)}")


def _relative(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
