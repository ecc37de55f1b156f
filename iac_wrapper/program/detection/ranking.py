"""Which of several files is the program: what serves, then what is called like one.

Each file of a search gets an order; files of equal order are a question to the user.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import PurePosixPath

from iac_wrapper.program.detection import reach
from iac_wrapper.program.detection.candidate import Candidate
from iac_wrapper.program.detection.imports import imported_files
from iac_wrapper.program.detection.project import Project
from iac_wrapper.program.detection.python_files import is_aside

STEMS = ("__main__", "main", "app", "server", "wsgi", "asgi", "run", "start", "bot")
"""What people call the file to start, best first; after them comes the project's own name."""

MAX_FOLLOWED = 20
"""How many candidates are followed through the files that they import, up to 0.1 s each."""

_SERVES, _WORKS, _ENDS = range(3)


@dataclass(frozen=True, order=True)
class Order:
    """Where a file stands, best first; equal ones are of equal right.

    Fields in the order in which they count: helpers last, what serves before what only works and
    that before what may end; a telling name; a file that was written to be run (a guard, or a main
    to call); near the root; imported by none of the others; the better name; no main to call.
    """

    aside: bool
    purpose: int
    unnamed: bool
    bare: bool
    depth: int
    imported: bool
    stem: int
    uncalled: bool

    @property
    def is_telling(self) -> bool:
        """Whether it is likely to be a program that is meant to stay, even among other things."""
        return not self.aside and (self.purpose != _ENDS or not self.unnamed)

    def is_rival(self, other: Order) -> bool:
        """Whether `other`, which comes after this one, is as plausible: what tells them apart is
        only how their authors write files, or which of two good names is better."""
        if self == other:
            return True
        alike = (self.aside, self.purpose, self.unnamed) == (
            *(other.aside, other.purpose, other.unnamed),
        )
        return alike and other.depth <= self.depth and not (other.imported or self.aside)


def ordered(project: Project, candidates: Collection[Candidate]) -> Iterator[list[Candidate]]:
    """Candidates that can run, best first, those of equal right together.

    In a checkout that is mainly something else, only those that are likely to be meant.
    """
    imported = _imported(project, candidates)
    orders = {
        each.name: _order(project, each, each.name in imported, follow=number < MAX_FOLLOWED)
        for number, each in enumerate(sorted(candidates, key=_depth))
    }
    usable = [c for c in candidates if _is_meant(project, c, orders[c.name])]
    usable.sort(key=lambda each: (orders[each.name], each.name))
    first = [each for each in usable if orders[usable[0].name].is_rival(orders[each.name])]
    if first:
        yield first
    others = [each for each in usable if each not in first]
    for _, group in groupby(others, key=lambda each: orders[each.name]):
        yield list(group)


def best_purpose(project: Project, candidates: list[Candidate]) -> list[Candidate]:
    """Of several at one place those that serve, else those that work without an end, else all."""
    purposes = [_purpose(project, candidate) for candidate in candidates]
    pairs = zip(candidates, purposes, strict=True)
    return [candidate for candidate, purpose in pairs if purpose == min(purposes)]


def servers_elsewhere(
    project: Project, tied: Sequence[Candidate], others: Iterable[Candidate]
) -> list[Candidate]:
    """Of `others` those that serve, one for each folder in which none of `tied` lies, if those
    serve: only their names came first."""
    if any(_purpose(project, each) != _SERVES for each in tied):
        return []
    folders = {PurePosixPath(each.name).parent for each in tied}
    found = []
    for each in others:
        folder = PurePosixPath(each.name).parent
        is_program = each.guarded and folder not in folders and not is_aside(_stem(each.name))
        if is_program and _purpose(project, each) == _SERVES:
            folders.add(folder)
            found.append(each)
    return found


def _purpose(project: Project, candidate: Candidate, *, follow: bool = True) -> int:
    """A number: what serves comes first, then what works without an end, then the rest."""
    entrypoint = candidate.entrypoint
    if entrypoint is None:  # it does not parse: another one must not take its place
        return _SERVES
    run = entrypoint.run or (reach.run(project, entrypoint) if follow else None)
    return {"web": _SERVES, "worker": _WORKS}.get(run or "", _ENDS)


def _order(project: Project, candidate: Candidate, imported: bool, *, follow: bool) -> Order:
    stem = _stem(candidate.name)
    named = _named(project, stem)
    bare = _is_bare(candidate)
    return Order(
        aside=is_aside(stem),
        purpose=_purpose(project, candidate, follow=follow),
        unnamed=named is None,
        bare=bare and named is None,
        depth=_depth(candidate),
        imported=imported,
        stem=len(STEMS) + 1 if named is None else named,
        uncalled=bool(candidate.entrypoint and candidate.entrypoint.function),
    )


def is_named(project: Project, relative: str) -> bool:
    """Whether a file is called what a program is, and not what a helper is."""
    stem = _stem(relative)
    return not is_aside(stem) and _named(project, stem) is not None


def _stem(relative: str) -> str:
    stem = PurePosixPath(relative).stem.lower().replace("-", "_")
    return stem if stem.startswith("__") else stem.lstrip("_")


def _named(project: Project, stem: str) -> int | None:
    """How good a name it is, the smaller the better; None: none that tells anything."""
    if stem in STEMS:
        return STEMS.index(stem)
    if stem in project.names:
        return len(STEMS)
    last = stem.rpartition("_")[2]
    return len(STEMS) if last in ("server", "bot") else None


def _is_meant(project: Project, candidate: Candidate, order: Order) -> bool:
    """A file without a guard does something whenever it is imported: most such are no programs."""
    if not (project.is_python or (order.is_telling and not order.depth)):
        return False
    if not _is_bare(candidate):
        return True
    if order.depth:
        return not order.aside and order.purpose != _ENDS
    return not order.aside and (order.is_telling or not order.imported)


def _is_bare(candidate: Candidate) -> bool:
    """Whether it has neither a guard, nor a main to call, nor an object that a server is for."""
    entrypoint = candidate.entrypoint
    return not (candidate.guarded or (entrypoint and (entrypoint.function or entrypoint.args)))


def _depth(candidate: Candidate) -> int:
    """How deep it lies; ``src`` does not count."""
    return candidate.name.removeprefix("src/").count("/")


def _imported(project: Project, candidates: Iterable[Candidate]) -> set[str]:
    """Files that one of the candidates, or of the files at the root, imports."""
    paths = (path for folder in ("", "src") for path in (project.root / folder).glob("*.py"))
    files = {path.relative_to(project.root).as_posix() for path in paths}
    files |= {each.name for each in candidates}
    return set().union(*(imported_files(project, file) for file in sorted(files)))
