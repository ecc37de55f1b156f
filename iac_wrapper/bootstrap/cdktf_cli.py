"""`python -m iac_wrapper.bootstrap.cdktf_cli [--env NAME] ARGS`: the cdktf CLI for this project.

Behind `make plan`, `make apply` and `make destroy`. The process becomes the CLI, so its prompts,
colours, signals and exit code are its own.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from iac_wrapper import settings
from iac_wrapper.adapters import terraform_config
from iac_wrapper.files.layout import Layout
from iac_wrapper.files.machine_home import MachineHome

_MOVES_STATE = ("TF_WORKSPACE", "TF_DATA_DIR")
"""Variables under which Terraform would look for a project's state somewhere else."""


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


def main(root: Path, arguments: Sequence[str]) -> None:
    """Become the cdktf CLI; does not return."""
    chosen = settings.load_settings(root)
    layout = Layout(root)
    project = chosen.project
    if arguments[0] == "--env":
        project = settings.check_environment(project, arguments[1])
        arguments = arguments[2:]
    argv = command(arguments, layout, project)
    os.chdir(root)
    found = environment(chosen.environment, chosen.machine_home)
    os.execve(argv[0], argv, found)  # noqa: S606 - no shell


if __name__ == "__main__":
    main(Path(__file__).resolve().parents[2], sys.argv[1:])
