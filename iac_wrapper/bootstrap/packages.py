"""Locked Python packages that only some machines need, installed when they turn out to."""

from __future__ import annotations

from pathlib import Path

from iac_wrapper.adapters.process import Command, argv
from iac_wrapper.bootstrap.context import BootstrapRun
from iac_wrapper.files.machine_home import setup_command
from iac_wrapper.program.index_settings import uv_environment


def install_command(context: BootstrapRun, group: str, target: Path, *more: str) -> Command:
    """uv with ``requirements-<group>.txt``, hashes required; into the folder `target`."""
    return Command(
        argv(
            (context.uv, "pip", "install", "--no-config", "--no-deps", "--only-binary", ":all:"),
            ("--require-hashes", "--python", context.python, "--target", target, *more),
            ("-r", requirements(context, group)),
        ),
        env=uv_environment(context.environ, context.settings.ca_bundle),
    )


def install(context: BootstrapRun, group: str, what: str, target: Path, *more: str) -> None:
    """Install a group into the folder `target`; `more` are options of uv.

    Not into the environment that KarstKit runs in: whatever installed that one may remove what it
    does not know.

    Raises:
        CommandError: it cannot be had, for instance because no wheel fits this machine.
    """
    with context.progress.step(what):
        context.run_logged(
            f"pip-{group}",
            install_command(context, group, target, *more),
            f"cannot install requirements-{group}.txt",
            next_step=f"check that a package index answers, then {setup_command()}",
        )


def requirements(context: BootstrapRun, group: str) -> Path:
    """The lock of a dependency group."""
    return context.data / f"requirements-{group}.txt"
