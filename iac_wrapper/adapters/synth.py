"""Runs the cdktf app, `main.py`, in a child process: jsii is neither thread-safe nor quick."""

from __future__ import annotations

import sys
from pathlib import Path

from iac_wrapper.adapters import process
from iac_wrapper.adapters.process import Command
from iac_wrapper.errors import CommandError, ConfigError
from iac_wrapper.files.machine_home import setup_command


def argv(root: Path) -> tuple[str, ...]:
    """Runs the project folder's main.py with the interpreter and the packages of this `iac`.

    -P: a folder of the person's that is called like one of our packages is not ours.
    """
    return process.argv(sys.executable, "-P", "-m", "iac_wrapper.adapters.run_app", root)


def synth(root: Path, lock: Path, users: Path, outdir: Path, project: str) -> Path:
    """Synthesize `lock`, with the uids in `users`, into `outdir` and return the stack's directory.

    Raises:
        ConfigError: main.py refused its input.
        CommandError: main.py failed.
    """
    command = Command(
        (*argv(root), "--outdir", str(outdir), "--users", str(users)),
        cwd=root,
        env={"IAC_LOCK_FILE": str(lock), "CDKTF_OUTDIR": None},
    )
    done = process.run(command, timeout=300)
    if done.returncode == ConfigError.exit_code:
        raise ConfigError("the cdktf app refused its input", detail=done.stderr.strip())
    done.check("the cdktf app (main.py) failed")
    directory = outdir / "stacks" / project
    if not (directory / "cdk.tf.json").is_file():
        raise CommandError(
            "the cdktf app wrote no stack",
            expected=str(directory / "cdk.tf.json"),
            next_step=setup_command(),
        )
    return directory
