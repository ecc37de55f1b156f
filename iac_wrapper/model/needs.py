"""`needs:`: which services must be proven before the first start of another one. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import NamedTuple

from iac_wrapper.errors import ConfigError
from iac_wrapper.model.app import ResolvedApp

Needs = Mapping[str, Collection[str]]
"""What each service needs."""


class Needing(NamedTuple):
    """What a service needs, and where that is written (``file:line``, empty if it is not known)."""

    needs: Sequence[str]
    where: str = ""


def check(services: Mapping[str, Needing]) -> None:
    """Refuse needs that can never be met; `services` are all that there will be.

    Raises:
        ConfigError: a service needs one that is not there, or some need each other.
    """
    for error in problems(services):
        raise error


def problems(services: Mapping[str, Needing]) -> Iterator[ConfigError]:
    """Every error of `check`; who needs each other is found out where all are there."""
    complete = True
    for name, (needs, where) in services.items():
        for needed in needs:
            if needed not in services:
                complete = False
                yield _unknown(name, needed, where, services)
    circles = (_circle(name, services) for name in services) if complete else iter(())
    if circle := next(filter(None, circles), None):
        yield _each_other(circle, services)


def waves(gates: Needs) -> list[list[str]]:
    """The services of `gates` in the order of their first starts: each after all that it needs.

    What is needed and not among them does not wait for anything. There must be no circle.
    """
    depth: dict[str, int] = {}

    def depth_of(name: str) -> int:
        if name not in depth:
            depth[name] = 1 + max((depth_of(n) for n in gates[name] if n in gates), default=0)
        return depth[name]

    found: dict[int, list[str]] = {}
    for name in sorted(gates):
        found.setdefault(depth_of(name), []).append(name)
    return [found[number] for number in sorted(found)]


def with_more(declared: Needs, more: Needs) -> dict[str, frozenset[str]]:
    """`declared` and, of `more`, what makes no circle."""
    found = {name: set(needed) for name, needed in declared.items()}
    for name in sorted(more):
        for other in sorted(more[name]):
            if name not in _all_needed(found, other):
                found.setdefault(name, set()).add(other)
    return {name: frozenset(needed) for name, needed in found.items() if needed}


def _all_needed(gates: Needs, start: str) -> set[str]:
    """`start`, what it needs, and so on."""
    seen, ways = {start}, [start]
    while ways:
        new = set(gates.get(ways.pop(), ())) - seen
        seen |= new
        ways += new
    return seen


def _circle(start: str, services: Mapping[str, Needing]) -> list[str]:
    """A way from `start` back to it, without its end; empty if there is none."""
    ways, seen = [[start]], {start}
    while ways:
        way = ways.pop()
        for needed in services[way[-1]].needs:
            if needed == start:
                return way
            if needed not in seen:
                seen.add(needed)
                ways.append([*way, needed])
    return []


def _unknown(name: str, needed: str, where: str, services: Collection[str]) -> ConfigError:
    near = get_close_matches(needed, services, n=1)
    return ConfigError(
        f"{name} needs {needed}, and there is no such service",
        where=where or f"service {name}",
        found=f"needs: {needed}",
        expected=(f"{near[0]!r}; " if near else "") + f"one of {', '.join(sorted(services))}",
        next_step="correct `needs:`, or add the service",
    )


def _each_other(circle: Sequence[str], services: Mapping[str, Needing]) -> ConfigError:
    after = [*circle[1:], circle[0]]
    places = {name: f" at {where}" if (where := services[name].where) else "" for name in circle}
    steps = [f"{a} needs {b}{places[a]}" for a, b in zip(circle, after, strict=True)]
    return ConfigError(
        (
            "services need each other, so none of them could start first"
            if len(circle) > 1
            else f"{circle[0]} needs itself"
        ),
        where=services[circle[0]].where or f"service {circle[0]}",
        found="; ".join(steps),
        expected="needs without a circle",
        next_step="take one of these names out of its `needs:`",
    )


def awaited(app: ResolvedApp, evidence: str, services: Collection[str]) -> frozenset[str]:
    """What a stopped service waits for: what it needs, and those of `services` that the `evidence`
    of its failure names, most often because it called them."""
    return frozenset(app.options.needs) | ({*_WORD.findall(evidence)} & set(services) - {app.name})


_WORD = re.compile(r"(?<![\w.-])(?<!(?<!/)/)[a-z0-9-]+(?![\w.-])")
"""A word that may be a host: no part of a path, a file's name or a longer name."""
