"""Questions before something is removed: at a terminal only; elsewhere the error stands.

Part of the command line. It must not know how anything is removed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import click

from iac_wrapper.errors import ConfigError
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


def about_destroy(project: str, found: Inventory) -> None:
    """Show what would go and have the project's name typed.

    Raises:
        ConfigError: there is nobody to ask, or another name was typed.
    """
    if not _at_a_terminal():
        raise ConfigError(
            f"destroying project {project} needs a confirmation, and no terminal is there to ask",
            found=str(found),
            next_step=f"iac destroy --yes --project {project}",
        )
    click.echo(plain(str(found).replace("; ", "\n")), err=True)
    question = f"This removes all of project {project}. Type its name to go on"
    typed = click.prompt(question, default="", show_default=False, err=True)
    if typed.strip() != project:
        raise _declined()


def about_remove(project: str, names: Sequence[str]) -> None:
    """Ask whether services may go.

    Raises:
        ConfigError: there is nobody to ask, or the answer was no.
    """
    if not _at_a_terminal():
        raise ConfigError(
            "removing services needs a confirmation, and no terminal is there to ask",
            found=", ".join(names),
            next_step=f"iac remove {' '.join(names)} --yes --project {project}",
        )
    _confirm(f"Remove {', '.join(names)} from project {project}, with keys and secret values?")


def _confirm(question: str) -> None:
    if not click.confirm(plain(question), err=True):
        raise _declined()


def _declined() -> ConfigError:
    return ConfigError(
        "not confirmed; nothing was changed",
        next_step="run the command again if you change your mind",
    )


def _at_a_terminal() -> bool:
    """Both ends: a question that nobody can see is none."""
    return sys.stdin.isatty() and sys.stderr.isatty()
