"""The places of a program in their order, and which of them has the program."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, groupby

from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.program.detection.candidate import Candidate, judge
from iac_wrapper.program.detection.candidates import (
    Rank,
    binary,
    later,
    ranked,
    scan,
    served,
)
from iac_wrapper.program.detection.framework_files import framework_files
from iac_wrapper.program.detection.giving_way import unless_it_gives_way
from iac_wrapper.program.detection.named_programs import named_of
from iac_wrapper.program.detection.other_kinds import platform_files
from iac_wrapper.program.detection.project import Project
from iac_wrapper.program.detection.ranking import best_purpose, servers_elsewhere
from iac_wrapper.program.detection.refusals import does_not_parse, several, several_processes
from iac_wrapper.program.detection.rivals import rivals
from iac_wrapper.program.detection.served_objects import supplied
from iac_wrapper.program.space import space


def by_rules(
    project: Project, where: str, slug: str, processes: list[str], seen: list[Candidate]
) -> Entrypoint | None:
    """The first that can be run of all places, whose candidates are added to `seen`."""
    chosen: Entrypoint | None = None
    ranks = _ranks(project, where, processes)
    for rank in ranks:
        if chosen is None:
            chosen = _winner(project, rank, ranks, where, slug)
        names = {c.name for c in seen}
        seen += [c for c in rank if c.name not in names]
    return chosen


def _ranks(project: Project, where: str, processes: list[str]) -> Iterator[Rank]:
    """Every place in order; the search of all files only if nothing else could be run."""
    found = False
    for rank in _places(project):
        able = rank if found else [unless_it_gives_way(project, each) for each in rank]
        found |= any(c.entrypoint or c.fault for c in able)
        yield able
    if not found and processes:
        raise several_processes(where, processes)
    if not found:
        yield from scan(project)
    yield [binary(project)]


def _places(project: Project) -> Iterator[Rank]:
    if (its := space(project.root)) and its.file:
        yield [judge(project, its.file, module=None, reason=f"README.md names {its.file}, which")]
    yield from ranked(project)
    yield from served(project)
    yield from framework_files(project, last=False)
    yield from later(project)
    for _, group in groupby(supplied(project), key=lambda one: one[0]):
        yield [candidate for _, candidate in group]
    yield from framework_files(project, last=True)


def _winner(
    project: Project, rank: Rank, later: Iterator[Rank], where: str, slug: str
) -> Entrypoint | None:
    """The one of `rank` that can run; None if none can. Where several can, what serves in the
    folders of `later` is named as well."""
    able = [c for c in rank if c.entrypoint]
    if len(able) > 1:
        able = named_of(project, able) or able
    if len(able) > 1:
        able = best_purpose(project, able)
    if len(able) > 1:
        able += servers_elsewhere(project, able, chain.from_iterable(later))
        raise several(where, slug, able, platform_files(project.root))
    for candidate in rank:
        if candidate.fault and not able:
            raise does_not_parse(candidate)
    if able and (others := rivals(project, able[0])):
        raise several(where, slug, [*able, *others])
    return able[0].entrypoint if able else None
