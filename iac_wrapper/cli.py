"""The `iac` command: parse, call the operation, render. Nothing is decided here.

Operations are imported inside the verbs: `iac --help` must not pay for grpc or the Docker SDK.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from iac_wrapper import __version__, ask, render, settings
from iac_wrapper.errors import ConfigError, IacError, Interrupted, UnhealthyError
from iac_wrapper.layout import Layout
from iac_wrapper.model.event import Emit, Event
from iac_wrapper.plain import plain
from iac_wrapper.redact import Redactor

if TYPE_CHECKING:
    from iac_wrapper.operations.deploy import Deployed
    from iac_wrapper.operations.intent import Intent
    from iac_wrapper.operations.workspace import Workspace

_project = click.option("--project", metavar="NAME", help="Project; default: IAC_PROJECT.")
_file = click.option(
    "--file", "-f", "file", type=click.Path(path_type=Path), metavar="F",
    help="List of slugs (YAML or JSON); default: repos.yaml, unless slugs are given.",
)  # fmt: skip
_slugs = click.argument("slugs", nargs=-1, metavar="[SLUG]...")
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
_locked = click.option("--locked", is_flag=True, help="Take the commits of the lock file.")
_yes = click.option("--yes", "-y", is_flag=True, help="Do not ask.")
_prune = click.option("--prune", is_flag=True,
    help="Remove services that the file does not list, without a question.")  # fmt: skip


class _Group(click.Group):
    """Turns our errors into text and exit codes, and Ctrl-C into 130; no tracebacks."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except IacError as error:
            _fail(ctx, error)
        except BrokenPipeError:  # the reader of our output is gone; nobody is left to tell
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        except (OSError, UnicodeError) as error:
            _fail(ctx, _disk_error(error))
        except (KeyboardInterrupt, click.Abort):  # Abort: Ctrl-C at a question
            _fail(ctx, Interrupted("interrupted", next_step="run the same command again"))


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="iac")
@click.option("--verbose", "-v", is_flag=True, help="Show progress beside --json, too.")
@click.pass_context
def main(ctx: click.Context, verbose: bool) -> None:
    """Turn git slugs into running, verified services behind mutual TLS."""
    ctx.obj = verbose
    signal.signal(signal.SIGTERM, _terminate)


def _verb(function: Callable[..., None]) -> click.Command:
    """Add ``--project`` and ``--json`` to a verb and hand it its Workspace."""

    @main.command(name=function.__name__, help=function.__doc__)
    @_project
    @_json
    @click.pass_context
    def wrapper(ctx: click.Context, /, project: str | None, as_json: bool, **more: Any) -> None:
        ctx.meta["as_json"] = as_json
        workspace = _workspace(ctx, project)
        function(workspace, as_json=as_json, **more)

    wrapper.params[:0] = reversed(getattr(function, "__click_params__", []))
    return wrapper


@_verb
@_file
@_locked
@_prune
@click.option("--all", "everything", is_flag=True,
    help="Exit with 7 for services as well that were broken before.")  # fmt: skip
@_slugs
def deploy(
    workspace: Workspace,
    as_json: bool,
    file: Path | None,
    locked: bool,
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

    def run(intent: Intent) -> Deployed:
        return operation.deploy(workspace, intent, everything=everything)

    try:
        intent = _intent(workspace, file, slugs, locked, prune=prune)
        _show_deployed(ask.with_consent(run, intent), as_json)
    except operation.DeployUnhealthyError as error:
        _show_deployed(error.deployed, as_json, error)
        raise


@_verb
@_file
@_locked
@_slugs
@click.option("--detailed-exitcode", is_flag=True,
    help="Exit with 0 without changes, 2 with changes, 1 for bad input.")  # fmt: skip
@click.option("--full", is_flag=True, help="Terraform's own listing instead of service words.")
def plan(
    workspace: Workspace,
    as_json: bool,
    file: Path | None,
    locked: bool,
    slugs: tuple[str, ...],
    detailed_exitcode: bool,
    full: bool,
) -> None:
    """Show what deploy would change for each service, and why; changes nothing."""
    from iac_wrapper.operations.plan import plan as operation

    ctx = click.get_current_context()
    ctx.meta["detailed_exitcode"] = detailed_exitcode
    planned = operation(workspace, _intent(workspace, file, slugs, locked), full=full)
    data = {"project": workspace.project, **planned.to_dict()}
    text = planned.full or render.plan_text(planned.services, empty=planned.empty)
    click.echo(_dumps(data) if as_json else plain(text))
    if detailed_exitcode and not planned.empty:
        sys.exit(2)


@_verb
@_file
@_locked
@_prune
@_slugs
def lock(
    workspace: Workspace,
    as_json: bool,
    file: Path | None,
    locked: bool,
    prune: bool,
    slugs: tuple[str, ...],
) -> None:
    """Resolve, fetch and detect; write the lock file, certificates and build contexts.

    This is the step before `cdktf synth`, `cdktf diff` and `cdktf deploy`. As these make the
    project be what the lock holds, it asks before it leaves out a service that runs.
    """
    from iac_wrapper import lock_file
    from iac_wrapper.operations.deploy import lock as operation

    intent = _intent(workspace, file, slugs, locked, prune=prune)
    written = ask.with_consent(partial(operation, workspace), intent)
    count = len(written.apps)
    text = f"Locked {count} app{'s' * (count != 1)} in {_relative(intent.lock_path)}"
    click.echo(lock_file.dump(written).rstrip() if as_json else text)


@_verb
@_yes
@click.option("--if-exists", is_flag=True, help="A project that is not there is no error.")
def destroy(workspace: Workspace, as_json: bool, yes: bool, if_exists: bool) -> None:
    """Remove everything of the project and prove that nothing is left.

    Shows what that is and has the project's name typed; without a terminal it takes --yes.
    """
    from iac_wrapper.operations import inventory
    from iac_wrapper.operations.destroy import Destroyed
    from iac_wrapper.operations.destroy import destroy as operation

    found = inventory.take(workspace) if if_exists else inventory.known(workspace)
    if not (yes or found.empty):
        ask.about_destroy(workspace.project, found)
    done = Destroyed(0, ()) if found.empty else operation(workspace)
    data = {
        "project": workspace.project,
        "resources_destroyed": done.resources,
        "swept": list(done.swept),
        "left": [],
    }
    text = render.destroyed_text(workspace.project, done.resources, len(done.swept))
    if found.empty:
        text = f"There is no project {workspace.project}."
    click.echo(_dumps(data) if as_json else text)


@_verb
@_yes
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
def remove(workspace: Workspace, as_json: bool, yes: bool, names: tuple[str, ...]) -> None:
    """Take services away, with their keys and secret values; data volumes stay.

    Asks at a terminal; without one it takes --yes.
    """
    from iac_wrapper.operations import remove as operation

    operation.check_names(workspace, names)
    if not yes:
        ask.about_remove(workspace.project, names)
    done = operation.remove(workspace, names)
    data = {"project": workspace.project, "plan": done.plan.to_dict(), **done.to_dict()}
    listed = operation.still_listed(Path("repos.yaml"), done.services)
    text = render.removed_text(done.services, done.volumes, listed)
    click.echo(_dumps(data) if as_json else text)


@_verb
@click.option("--wait", type=click.FloatRange(0, 3600), default=0, metavar="SECONDS",
    help="Give services that long to become SERVING.")  # fmt: skip
def health(workspace: Workspace, as_json: bool, wait: float) -> None:
    """Ask every service over mTLS; exit with 7 unless all are SERVING."""
    from iac_wrapper.operations.health import health as operation
    from iac_wrapper.operations.verify import unhealthy_detail

    report = operation(workspace, wait=wait)
    click.echo(_dumps(report.to_dict()) if as_json else render.report_table(report))
    if not report.good:
        sys.stdout.flush()
        click.echo(plain(unhealthy_detail(report.services)), err=True)
        sys.exit(UnhealthyError.exit_code)


@_verb
@click.option("--service", "-s", "services", multiple=True, metavar="S", help="Only this service.")
@click.option("--envoy", is_flag=True, help="Envoy's lines as well.")
@click.option("--tail", type=click.IntRange(0, 100_000), default=100, show_default=True,
    help="Lines of history per container.")  # fmt: skip
@click.option("--follow", is_flag=True, help="Stay and print new lines.")
def logs(
    workspace: Workspace,
    as_json: bool,
    services: tuple[str, ...],
    envoy: bool,
    tail: int,
    follow: bool,
) -> None:
    """Print what services log."""
    from dataclasses import asdict

    from iac_wrapper.operations import logs as operation

    roles = ("app", "envoy") if envoy else ("app",)
    read = operation.follow if follow else operation.logs
    with _quiet_end(follow):
        for record in read(workspace, services, roles=roles, tail=tail):
            if record is None:
                continue
            name = record.service if record.role == "app" else f"{record.service}/{record.role}"
            text = f"{name} | {plain(record.line)}"
            click.echo(json.dumps(asdict(record)) if as_json else text)


@contextmanager
def _quiet_end(follow: bool) -> Iterator[None]:
    """Ctrl-C is how a person ends following: no error text."""
    try:
        yield
    except KeyboardInterrupt:
        if not follow:
            raise
        sys.exit(Interrupted.exit_code)


@_verb
@click.option("--all", "everything", is_flag=True, help="Every project of this engine.")
def heal(workspace: Workspace, as_json: bool, everything: bool) -> None:
    """Start what an engine restart left stopped. Idempotent."""
    from dataclasses import replace

    from iac_wrapper.operations.heal import heal as operation
    from iac_wrapper.operations.heal import warn_of_missing

    projects = workspace.engine.projects() if everything else [workspace.project]
    done = []
    for one in (replace(workspace, project=name) for name in projects):
        done += operation(one)
        warn_of_missing(one)
    data = {"projects": projects, "healed": done}
    click.echo(_dumps(data) if as_json else "\n".join(done) or "Nothing to heal.")


@main.group()
def admin() -> None:
    """The HTTP API for remote deploys."""


@admin.command()
@click.pass_context
def serve(ctx: click.Context) -> None:
    """Serve the admin API until Ctrl-C, on loopback and a Unix socket.

    Deployments that run then go on; the next start takes them up.
    """
    from admin.serve import serve as run

    ctx.meta["as_json"] = False
    workspace = _workspace(ctx, None)
    redact = ctx.meta["redact"]
    run(
        workspace.layout,
        workspace.settings,
        lambda line: click.echo(redact(plain(line)), err=True),
    )


def _intent(
    workspace: Workspace,
    file: Path | None,
    slugs: tuple[str, ...],
    locked: bool,
    *,
    prune: bool = False,
) -> Intent:
    from iac_wrapper.operations.intent import from_file, from_slugs

    if file is None and slugs:
        if prune:
            raise ConfigError(
                "--prune needs the whole list of what stays",
                found="slugs alone, which are added to what the project runs",
                next_step="name the list with --file",
            )
        return from_slugs(workspace, slugs, cwd=Path.cwd(), locked=locked)
    return from_file(file or Path("repos.yaml"), chosen=slugs, locked=locked, prune=prune)


def _show_deployed(deployed: Deployed, as_json: bool, error: IacError | None = None) -> None:
    if as_json:
        failure = {"error": error.to_dict()} if error else {}
        click.echo(
            _dumps({**deployed.report.to_dict(), "plan": deployed.plan.to_dict(), **failure})
        )
    else:
        click.echo(render.report_table(deployed.report))
        click.echo(f"Terraform: {deployed.plan.summary} (plan {deployed.plan_hash[:12]}).")


def _workspace(ctx: click.Context, project: str | None) -> Workspace:
    from iac_wrapper.operations.workspace import Workspace

    root = find_root(Path.cwd())
    loaded = settings.load(root)
    loaded.check()
    redact = ctx.meta["redact"] = Redactor(loaded.secrets)
    name = settings.check_project(project, where="--project") if project else loaded.project
    quiet = ctx.meta["as_json"] and not ctx.obj
    return Workspace(Layout(root), loaded, name, _printer(redact, quiet=quiet))


def find_root(start: Path) -> Path:
    """The project folder: the nearest folder at or above `start` with cdktf.json and main.py,
    else the one this package was installed from.

    Raises:
        ConfigError: there is none.
    """
    package_home = Path(__file__).resolve().parent.parent
    for folder in (start, *start.parents, package_home):
        if (folder / "cdktf.json").is_file() and (folder / "main.py").is_file():
            return folder
    raise ConfigError(
        "not in a project folder",
        found=str(start),
        expected="a folder with cdktf.json and main.py, here or above",
        next_step="cd into your clone of the project",
    )


def _printer(redact: Redactor, *, quiet: bool) -> Emit:
    """Progress goes to stderr, so that stdout holds only the result."""
    prefix = {"step": "==> ", "progress": "    ", "warning": "warning: "}

    def emit(event: Event) -> None:
        if not quiet or event.kind == "warning":
            text = prefix[event.kind] + redact(plain(event.message))
            with suppress(OSError):  # a closed stderr must not end a deploy half-way
                click.secho(text, err=True, bold=event.kind == "step", dim=event.kind == "progress")

    return emit


def _fail(ctx: click.Context, error: IacError) -> NoReturn:
    redact = ctx.meta.get("redact", Redactor())
    if ctx.meta.get("as_json") and not isinstance(error, UnhealthyError):
        click.echo(redact(_dumps({"error": error.to_dict()})))
    click.secho("error: " + redact(plain(str(error))), err=True)
    # As Terraform's own flag: 2 says "changes", so bad input must say something else.
    taken = ctx.meta.get("detailed_exitcode") and error.exit_code == 2
    sys.exit(1 if taken else error.exit_code)


def _disk_error(error: OSError | UnicodeError) -> IacError:
    """A file that cannot be read or written, where no adapter knew better."""
    return IacError(
        "a file cannot be used",
        where=getattr(error, "filename", None),
        found=str(error),
        expected="files of the project folder that belong to you (another user, or root, ran iac?)",
    )


def _terminate(_signal: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _relative(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _dumps(data: Any) -> str:
    return json.dumps(data, indent=2, sort_keys=True)
