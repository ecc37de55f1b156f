"""The extras and groups without which a program certainly cannot start, by what it imports.

Only where nothing is to be weighed: one of them brings what is imported, and nothing else does.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from iac_wrapper.model.distributions import DISTRIBUTIONS
from iac_wrapper.program.locks.names import canonical
from iac_wrapper.program.python_project import tables
from iac_wrapper.program.requirement_names import is_for_developers

LOCKS = ("uv.lock", "poetry.lock", "pdm.lock")
"""Those that tell which package brings which."""


@dataclass(frozen=True)
class OptionalPackages:
    """An extra, or a dependency group, with the canonical names of what it requires."""

    name: str
    is_group: bool
    packages: frozenset[str]

    @property
    def label(self) -> str:
        """What it is called in a sentence."""
        return f"the {'dependency group' if self.is_group else 'extra'} {self.name}"


@dataclass(frozen=True)
class Needed:
    """One that is installed because the file `file` imports `module`."""

    optional: OptionalPackages
    module: str
    file: str


def package_names(lines: Iterable[str]) -> frozenset[str]:
    """Canonical names of the packages in lines of requirements."""
    return frozenset(canonical(re.split(r"[^\w.-]", line.strip())[0]) for line in lines)


def also_installed(lock: Mapping[str, Any], names: Iterable[str]) -> frozenset[str]:
    """Canonical names of what `names` bring with them, by a lock of uv, Poetry or PDM."""
    needs: dict[str, set[str]] = {}
    for package in tables(lock.get("package")):
        stated = package.get("dependencies") or ()  # tables in uv.lock, a table in poetry.lock
        lines = (one.get("name") if isinstance(one, dict) else one for one in stated)
        found = needs.setdefault(canonical(str(package.get("name"))), set())
        found |= package_names(line for line in lines if isinstance(line, str))
    waiting, seen = [*package_names(names)], set[str]()
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += needs.get(name, ())
    return frozenset(seen)


def optionals(
    extras: Mapping[str, Collection[str]], groups: Mapping[str, Collection[str]]
) -> list[OptionalPackages]:
    """Those that are not for work on the code, the extras first."""
    found = [(name, False, lines) for name, lines in extras.items()]
    found += [(name, True, lines) for name, lines in groups.items()]
    return [
        OptionalPackages(name, is_group, package_names(lines))
        for name, is_group, lines in found
        if not is_for_developers(name)
    ]


def needed(
    imports: Mapping[str, str], installed: frozenset[str], offered: Collection[OptionalPackages]
) -> list[Needed]:
    """Those of `offered` that bring what nothing else does.

    Args:
        imports: dotted names, each with the file that imports it.
        installed: canonical names of the packages that are required anyway.
        offered: extras and groups that are not.
    """
    found: list[Needed] = []
    for dotted, file in imports.items():
        names = _names(dotted)
        if not names & installed:
            bringing = [one for one in offered if names & one.packages]
            if optional := _the_one(bringing):
                found.append(Needed(optional, dotted.partition(".")[0], file))
                installed |= optional.packages
    return found


def _the_one(bringing: list[OptionalPackages]) -> OptionalPackages | None:
    """The only one, or the one that the others have whole."""
    for one in bringing:
        if all(one.packages <= other.packages for other in bringing):
            return one
    return None


def _names(dotted: str) -> frozenset[str]:
    """Canonical names under which a module may be installed."""
    return frozenset(canonical(name) for name in _spelled(dotted.split(".")))


def _spelled(parts: list[str]) -> Iterator[str]:
    yield from DISTRIBUTIONS.get(parts[0], (parts[0],))
    yield f"python-{parts[0]}"
    for length in range(2, len(parts) + 1):  # google.cloud.storage of google-cloud-storage
        yield "-".join(parts[:length])
