"""Questions before something is removed: at a terminal only; elsewhere the error stands.

Part of the command line. It must not know how anything is removed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import click

from iac_wrapper.errors import ConfigError, IacError
from iac_wrapper.model.plain import plain

if TYPE_CHECKING:
    from iac_wrapper.model.intent import Intent
    from iac_wrapper.operations.inventory import Inventory

T = TypeVar("T")


def with_consent(run: Callable[[Intent], T], intent: Intent) -> T:
    """Call `run`; if it would remove services, ask for those by name and call it again.

    Raises:
        PruneError: there is nobody to ask.
        ConfigError: the answer was no.
    """
    from iac_wrapper.operations.prune import PruneError

    try:
        return run(intent)
    except PruneError as error:
        if not _at_a_terminal():
            raise
        names = ", ".join(error.services)
        _confirm(f"{intent.list_name} does not list {names}. Remove from this host?")
        return run(replace(intent, agreed_removals=error.services))


def about_destroy(project: str, found: Inventory, *, volumes: bool) -> None:
    """Show what would go and have the project's name typed; with `volumes` the data as well.

    Raises:
        ConfigError: there is nobody to ask, or another name was typed.
    """
    _need_terminal(
        f"destroying project {project}",
        found=found.describe(volumes=volumes),
        next_step=f"iac destroy {'--volumes ' * volumes}--yes --project {project}",
    )
    click.echo(plain(found.describe(volumes=volumes).replace("; ", "\n")), err=True)
    data = ", its data included" if volumes and found.volumes else ""
    _typed(f"This removes all of project {project}{data}. Type its name to go on", project)


def about_volume(name: str, project: str) -> None:
    """Have the name of a volume that is to go typed.

    Raises:
        ConfigError: there is nobody to ask, or another name was typed.
    """
    _need_terminal(
        "removing a volume",
        found=name,
        next_step=f"iac volumes remove {name} --yes --project {project}",
    )
    _typed("This removes the volume with all its data. Type its name to go on", name)


def about_restore(error: IacError) -> bool:
    """Ask whether data may be replaced; False if there is nobody to ask.

    Raises:
        ConfigError: the answer was no.
    """
    if not _at_a_terminal():
        return False
    _confirm(f"{error.message[0].upper()}{error.message[1:]}. Go on?")
    return True


def about_remove(project: str, names: Sequence[str]) -> None:
    """Ask whether services may go.

    Raises:
        ConfigError: there is nobody to ask, or the answer was no.
    """
    _need_terminal(
        "removing services",
        found=", ".join(names),
        next_step=f"iac remove {' '.join(names)} --yes --project {project}",
    )
    _confirm(f"Remove {', '.join(names)} from project {project}, with keys and secret values?")


def about_images(project: str, names: Sequence[str], *, everything: bool) -> None:
    """Ask whether images may go.

    Raises:
        ConfigError: there is nobody to ask, or the answer was no.
    """
    which = "--all" if everything else f"--project {project}"
    _need_terminal(
        "removing images",
        found=", ".join(names),
        next_step=f"iac images prune --yes {which}",
    )
    click.echo(plain("\n".join(names)), err=True)
    _confirm("Remove these images? A next deploy builds what it needs anew.")


def about_prune(project: str, found: str) -> None:
    """Show what would go and ask.

    Raises:
        ConfigError: there is nobody to ask, or the answer was no.
    """
    _need_terminal(
        "a prune",
        found=found,
        next_step=f"iac prune --yes --project {project}; --dry-run only shows it",
    )
    click.echo(plain(found), err=True)
    _confirm("Remove this? What is deployed or can be gone back to stays.")


def _typed(question: str, name: str) -> None:
    typed = click.prompt(plain(question), default="", show_default=False, err=True)
    if typed.strip() != name:
        raise _declined()


def _confirm(question: str) -> None:
    if not click.confirm(plain(question), err=True):
        raise _declined()


def _declined() -> ConfigError:
    return ConfigError(
        "not confirmed; nothing was changed",
        next_step="run the command again if you change your mind",
    )


def _need_terminal(what: str, *, found: str, next_step: str) -> None:
    if not _at_a_terminal():
        raise ConfigError(
            f"{what} needs a confirmation, and no terminal is there to ask",
            found=found,
            next_step=next_step,
        )


def _at_a_terminal() -> bool:
    """Both ends: a question that nobody can see is none."""
    return sys.stdin.isatty() and sys.stderr.isatty()
