"""Locked Python packages that only some machines need, installed when they turn out to."""

from __future__ import annotations

from pathlib import Path

from iac_wrapper.adapters.process import Command, argv
from iac_wrapper.bootstrap.context import Context
from iac_wrapper.program.index_settings import uv_environment


def install_command(context: Context, group: str, *target: str) -> Command:
    """uv with ``requirements-<group>.txt``, hashes required; `target` says where to."""
    uv = context.python.with_name("uv")
    return Command(
        argv(
            (uv, "pip", "install", "--no-config", "--no-deps", "--only-binary", ":all:"),
            ("--require-hashes", "--python", context.python, *target),
            ("-r", requirements(context.root, group)),
        ),
        env=uv_environment(context.environ, context.settings.ca_bundle),
    )


def install(context: Context, group: str, what: str, *target: str) -> None:
    """Install a group into the project's virtual environment (or `target`).

    Raises:
        CommandError: it cannot be had, for instance because no wheel fits this machine.
    """
    with context.progress.step(what):
        context.logged(
            f"pip-{group}",
            install_command(context, group, *target),
            f"cannot install requirements-{group}.txt",
            next_step="check that a package index answers, then make bootstrap",
        )


def requirements(root: Path, group: str) -> Path:
    """The lock of a dependency group."""
    return root / f"requirements-{group}.txt"
