"""Debian packages, where bootstrap is allowed to install them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from iac_wrapper.adapters import process
from iac_wrapper.adapters.process import Command
from iac_wrapper.bootstrap.context import BootstrapRun
from iac_wrapper.errors import CommandError
from iac_wrapper.files.machine_home import setup_command

_UNATTENDED = {"DEBIAN_FRONTEND": "noninteractive"}


def update_command() -> Command:
    """Refresh the package lists: a fresh machine has none."""
    return Command(("apt-get", "update"), env=_UNATTENDED)


def install_command(packages: Sequence[str]) -> Command:
    """Install `packages`, waiting for another apt that holds the lock."""
    return Command(
        (
            *("apt-get", "install", "-y", "--no-install-recommends"),
            *("-o", "DPkg::Lock::Timeout=120", *packages),
        ),
        env=_UNATTENDED,
    )


def install(
    context: BootstrapRun, packages: Sequence[str], *, optional: Sequence[str] = ()
) -> None:
    """Install `packages`, and those of `optional` that this release has.

    Raises:
        CommandError: apt failed.
    """
    names = " ".join(packages or optional)
    by_hand = f"apt-get install {names}, then {setup_command()}"
    with context.progress.step(f"apt-get install {names}"):
        # One source that is down makes update fail; the packages wanted here may still be had.
        with suppress(CommandError):
            context.run_logged("apt", update_command(), "no package lists", next_step=by_hand)
        extra = [name for name in optional if _exists(name)]
        command = install_command([*packages, *extra])
        context.run_logged("apt", command, "cannot install packages", next_step=by_hand)


def _exists(package: str) -> bool:
    shown = process.run(Command(("apt-cache", "show", "--no-all-versions", package)))
    return shown.returncode == 0 and bool(shown.stdout.strip())
