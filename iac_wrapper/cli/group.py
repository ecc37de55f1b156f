"""The command itself: its groups, what every verb shares, and how an error ends it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, NoReturn

import click

from iac_wrapper import __version__
from iac_wrapper.cli import output
from iac_wrapper.cli.folder import open_workspace
from iac_wrapper.cli.names import complete_projects
from iac_wrapper.cli.signals import wake_main_thread
from iac_wrapper.errors import IacError, Interrupted, UnhealthyError, file_error
from iac_wrapper.model.plain import plain
from iac_wrapper.model.redact import Redactor
from iac_wrapper.model.text_table import WHOLE, WIDTH

if TYPE_CHECKING:
    from iac_wrapper.operations.workspace import Workspace

_project = click.option(
    "--project",
    metavar="NAME",
    help="Project; default: IAC_PROJECT.",
    shell_complete=complete_projects,
)
_env = click.option(
    "--env",
    "environment",
    metavar="NAME",
    help="Environment of the repos file: it is the project PROJECT-NAME.",
)
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
_json_lines = click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print events and the result, a JSON object a line.",
)


class _Group(click.Group):
    """Turns our errors into text and exit codes, and Ctrl-C into 130; no tracebacks.

    Commands of packages that build on this one are found by their entry points, loaded when used.
    """

    command_class = output.Command

    def main(self, args: Sequence[str] | None = None, *more: Any, **extra: Any) -> Any:
        """As a program, end at once when interrupted: threads may wait for servers for minutes."""
        try:
            return super().main(args, *more, **extra)
        except SystemExit as ended:
            if args is None and ended.code == Interrupted.exit_code:
                with suppress(OSError):
                    sys.stdout.flush()
                    sys.stderr.flush()
                os._exit(Interrupted.exit_code)
            raise

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *_added()])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        known = super().get_command(ctx, cmd_name)
        added = None if known else _added().get(cmd_name)
        return added.load() if added else known

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except IacError as error:
            _fail(ctx, error)
        except BrokenPipeError:  # the reader of our output is gone; nobody is left to tell
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        except (OSError, UnicodeError) as error:
            _fail(ctx, file_error(error))
        except (KeyboardInterrupt, click.Abort):  # Abort: Ctrl-C at a question
            _fail(ctx, output.interrupted(ctx.meta))


def _added() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group="karstkit.commands")}


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="iac")
@click.option(
    "-C",
    "folder",
    type=click.Path(exists=True, file_okay=False),
    metavar="DIR",
    help="Work in DIR, as if started there.",
)
def main(folder: str | None) -> None:
    """Turn git slugs into running, verified services behind mutual TLS."""
    if folder:
        os.chdir(folder)
    wake_main_thread()
    signal.signal(signal.SIGTERM, _terminate)


main.params.extend(output.options())


class ListUnlessSaid(click.Group):
    """A group of verbs that alone lists; options before a verb are those of ``list``."""

    command_class = output.Command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the verb in front."""
        if not args or (args[0].startswith("-") and args[0] not in ("-h", "--help")):
            args = ["list", *args]
        return super().parse_args(ctx, args)


def verb(
    function: Callable[..., None], group: click.Group = main, *, streams: bool = False
) -> click.Command:
    """Add ``--project``, ``--env`` and ``--json`` to a verb of `group`, which has the function's
    name, and hand it its Workspace. One that `streams` says its events in JSON as well."""

    name = function.__name__.strip("_").replace("_", "-")

    @group.command(name=name, help=function.__doc__)
    @_project
    @_env
    @(_json_lines if streams else _json)
    @click.pass_context
    def wrapper(
        ctx: click.Context,
        /,
        project: str | None,
        environment: str | None,
        as_json: bool,
        **more: Any,
    ) -> None:
        ctx.meta.update(as_json=as_json, streams=streams)
        workspace = open_workspace(ctx, project, environment)
        try:
            function(workspace, as_json=as_json, **more)
        finally:
            tell(workspace)

    wrapper.params[:0] = reversed(getattr(function, "__click_params__", []))
    return wrapper


def tell(workspace: Workspace) -> None:
    """Send what a command has noted for the receiver of notifications: the last that it does."""
    if workspace.outbox:
        from iac_wrapper.operations import notifications

        notifications.send(workspace)


@contextmanager
def quiet_end() -> Iterator[None]:
    """Ctrl-C is how a person ends what runs until then: no error text."""
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(Interrupted.exit_code)


def streaming_verb(function: Callable[..., None]) -> click.Command:
    """`verb` for what changes a project."""
    return verb(function, streams=True)


def verb_of(group: click.Group) -> Callable[[Callable[..., None]], click.Command]:
    """`verb` for a group of verbs, such as ``iac volumes``."""
    return lambda function: verb(function, group)


def dumps(data: Any) -> str:
    """JSON for people and programs: of a verb that streams, its last line."""
    if output.is_stream(click.get_current_context().meta):
        return output.result_line(data)
    return json.dumps(data, indent=2, sort_keys=True)


def columns() -> int:
    """How wide a table may be: as the terminal, or as COLUMNS says; with --wide it takes all."""
    if click.get_current_context().meta.get("wide"):
        return WHOLE
    return shutil.get_terminal_size((WIDTH, 24)).columns


def _fail(ctx: click.Context, error: IacError) -> NoReturn:
    redact = ctx.meta.get("redact", Redactor())
    if ctx.meta.get("as_json") and not isinstance(error, UnhealthyError):
        click.echo(redact(dumps({"error": error.to_dict()})))
    click.secho("error: " + redact(plain(str(error))), err=True)
    # As Terraform's own flag: 2 says "changes", so bad input must say something else.
    taken = ctx.meta.get("detailed_exitcode") and error.exit_code == 2
    sys.exit(1 if taken else error.exit_code)


def _terminate(_signal: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt
