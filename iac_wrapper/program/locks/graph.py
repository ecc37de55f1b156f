"""Which packages of a lock are wanted, and where: a walk along the dependencies it records.

For locks that do not say it of each package themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from iac_wrapper.program.locks import markers
from iac_wrapper.program.locks.markers import ALWAYS, NEVER, Condition


@dataclass(frozen=True)
class Wanted:
    """One dependency: a name, its extras, where it holds, and which versions it allows."""

    name: str
    extras: tuple[str, ...] = ()
    condition: Condition = ALWAYS
    allows: Callable[[str], bool] = field(default=lambda _: True, compare=False)


@dataclass(frozen=True)
class Node:
    """A package of the lock: `needs` always, `extras` what each of its extras adds."""

    name: str
    version: str
    needs: tuple[Wanted, ...] = ()
    extras: Mapping[str, tuple[Wanted, ...]] = field(default_factory=dict)


def conditions(nodes: Iterable[Node], roots: Iterable[Wanted]) -> dict[tuple[str, str], Condition]:
    """Where each package is wanted, by name and version; those that are not wanted are left out."""
    by_name: dict[str, list[Node]] = {}
    for node in nodes:
        by_name.setdefault(node.name, []).append(node)
    found: dict[tuple[str, str, str], Condition] = {}
    waiting = [(wanted, ALWAYS) for wanted in roots]
    while waiting:
        wanted, where = waiting.pop()
        there = markers.both(where, wanted.condition)
        for node in _matching(by_name.get(wanted.name, []), wanted):
            for extra in ("", *wanted.extras):
                key = (node.name, node.version, extra)
                old = found.get(key, NEVER)
                new = markers.either(old, there)
                if new != old:
                    found[key] = new
                    needs = node.extras.get(extra, ()) if extra else node.needs
                    waiting += [(need, new) for need in needs]
    merged: dict[tuple[str, str], Condition] = {}
    for (name, version, _), condition in found.items():
        merged[name, version] = markers.either(merged.get((name, version), NEVER), condition)
    return merged


def _matching(nodes: list[Node], wanted: Wanted) -> list[Node]:
    """The locked versions that a dependency allows; the only one, whatever its text says."""
    if len(nodes) < 2:
        return nodes
    return [node for node in nodes if wanted.allows(node.version)] or nodes
