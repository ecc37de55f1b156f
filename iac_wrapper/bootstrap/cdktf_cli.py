"""`python -m iac_wrapper.bootstrap.cdktf_cli [--env NAME] ARGS`: the cdktf CLI for this project.

Behind `make plan`, `make apply` and `make destroy`. Prompts, colours, signals and exit code are the
CLI's own. What changes the project holds it meanwhile, and is a release of its ledger.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from iac_wrapper import settings
from iac_wrapper.adapters import process, terraform_config, workspace_lock
from iac_wrapper.adapters.process import Command
from iac_wrapper.errors import IacError
from iac_wrapper.files import lock_file
from iac_wrapper.files.layout import Layout
from iac_wrapper.files.machine_home import MachineHome
from iac_wrapper.model.event import Event
from iac_wrapper.model.ledger import Caller, Verdict
from iac_wrapper.model.plain import plain
from iac_wrapper.operations import notifications
from iac_wrapper.operations.hooks import hooked
from iac_wrapper.operations.workspace import Workspace

_MOVES_STATE = ("TF_WORKSPACE", "TF_DATA_DIR")
"""Variables under which Terraform would look for a project's state somewhere else."""

_SIGNALS = 128
"""What is added to the number of the signal that ended a program."""

_CHANGES = ("deploy", "destroy")
"""Verbs of the CLI that change a project."""


def environment(environ: Mapping[str, str], home: MachineHome) -> dict[str, str]:
    """The CLI's environment: `environ`, our tools first on PATH, nothing asked, nothing reported.

    Args:
        environ: the process environment over `.env`.
        home: where this machine's tools are.
    """
    added = {
        "TERRAFORM_BINARY_NAME": str(home.terraform),
        "PATH": f"{home.bin}{os.pathsep}{environ.get('PATH', os.defpath)}",
        "CHECKPOINT_DISABLE": "1",
        "DISABLE_VERSION_CHECK": "1",
        "CI": "1",
    }
    if own := terraform_config.own(environ):  # the CLI runs Terraform in a folder below
        added[terraform_config.VARIABLE] = str(own)
    return {name: value for name, value in environ.items() if name not in _MOVES_STATE} | added


def command(arguments: Sequence[str], layout: Layout, project: str) -> list[str]:
    """argv of the CLI: the verb with this project's stack and output folder."""
    cli = layout.root / "node_modules" / ".bin" / "cdktf"
    verb, *options = arguments
    return [str(cli), verb, project, *options, "--output", str(layout.outdir(project))]


def main(root: Path, arguments: Sequence[str]) -> NoReturn:
    """Do as the cdktf CLI does, and exit as it does.

    Raises:
        BusyError: another command changes the project.
        ConfigError: the ledger cannot be read.
        CommandError: it cannot be written, or the CLI not be started.
    """
    chosen = settings.load_settings(root)
    layout = Layout(root)
    project = chosen.project
    if arguments[0] == "--env":
        project = settings.check_environment(project, arguments[1])
        arguments = arguments[2:]
    argv = command(arguments, layout, project)
    os.chdir(root)
    found = environment(chosen.environment, chosen.machine_home)
    if arguments[0] not in _CHANGES:
        os.execve(argv[0], argv, found)  # noqa: S606 - no shell
    unset = dict.fromkeys(_MOVES_STATE)
    workspace = Workspace(layout, chosen, project, _say, caller=Caller("cdktf"))
    try:
        code = _recorded(workspace, arguments[0], Command(tuple(argv), env={**found, **unset}))
    finally:
        notifications.send(workspace)
    sys.exit(code)


def _recorded(workspace: Workspace, verb: str, cli: Command) -> int:
    """Run what changes the project; nobody proves it. A deploy has its hooks."""
    path = workspace.layout.root / (workspace.settings.lock_file or "repos.lock.json")
    with (
        hooked(workspace, verb, path.parent) as (release, hooks),
        workspace_lock.hold(workspace.directory, f"cdktf {verb}") as held,
        release.recorded(),
    ):
        if verb == "deploy":
            lock = lock_file.load_lock(path) if path.exists() else None
            release.of = {"lock_file": str(path)} if lock else {}
            hooks.start(lock)
        else:
            release.start()
        code = process.attach(cli, keep_open=held.fd)
        if code:
            verdict: Verdict = "interrupted" if code > _SIGNALS else "failed"
            release.end(verdict, error={"message": f"cdktf exited with {code}"})
        else:
            release.end("unproven")
    return code


def _say(event: Event) -> None:
    prefix = {"warning": "warning: ", "step": "==> ", "progress": "    "}[event.kind]
    sys.stderr.write(f"{prefix}{plain(event.message)}\n")


if __name__ == "__main__":
    try:
        main(Path(__file__).resolve().parents[2], sys.argv[1:])
    except IacError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_code)
