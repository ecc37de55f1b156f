"""Which groups and extras of a project are installed beside what is always wanted."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from iac_wrapper.errors import SourceError
from iac_wrapper.program.locks.names import canonical

PRODUCTION = ("prod", "production")
"""Groups that say themselves that they are for where the program runs."""


@dataclass(frozen=True)
class Selection:
    """Names of dependency groups and of extras (optional dependencies), without the main ones."""

    groups: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All of them."""
        return tuple(dict.fromkeys((*self.groups, *self.extras)))


def select(
    asked: Collection[str], groups: Collection[str], extras: Collection[str], where: str
) -> Selection:
    """Groups and extras by their names: those of production, and what is asked for.

    Args:
        asked: the names in brackets in ``dependencies:``.
        groups: those that the project has.
        extras: those that the project has.
        where: the file, for errors.

    Raises:
        SourceError: there is no such group and no such extra.
    """
    wanted = {canonical(name) for name in asked}
    known = {canonical(name) for name in (*groups, *extras)}
    for name in asked:
        if canonical(name) not in known:
            raise SourceError(
                "no such dependency group or extra",
                where=where,
                found=name,
                expected=", ".join(sorted(known)) or "no name: the project has neither",
                next_step="correct `dependencies:` of its entry in repos.yaml",
            )
    always = {*PRODUCTION, *wanted}
    return Selection(
        tuple(sorted(name for name in groups if canonical(name) in always)),
        tuple(sorted(name for name in extras if canonical(name) in wanted)),
    )
