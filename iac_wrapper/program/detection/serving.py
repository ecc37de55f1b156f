"""What running a Python file certainly leads to: a server, or a program that works without one.

Follows the calls and the processes that `steps` found; what only some branch reaches is not
certain.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from typing import Protocol

from iac_wrapper.model.options import Run
from iac_wrapper.program.detection import libraries, steps
from iac_wrapper.program.detection.steps import Step, StepReader, Steps


class Elsewhere(Protocol):
    """The other files of the repository; names are those of `Origins`, from `OWN_FILE` on."""

    def named(self, dotted: str, *, certain: bool) -> set[Run]:
        """What calling the function, class or method of that name comes to."""

    def imported(self, dotted: str, *, certain: bool) -> set[Run]:
        """What importing that name executes."""

    def program(self, target: str, *, certain: bool) -> set[Run]:
        """What a process of Python comes to that runs this script or module."""


class _Nowhere:
    """Other files of which nothing is known."""

    def named(self, dotted: str, *, certain: bool) -> set[Run]:
        """Nothing."""
        del dotted, certain
        return set()

    imported = program = named


class Serving:
    """Asks one file; `certain` decides whether each branch of a condition must agree.

    Args:
        reader: of the file.
        elsewhere: where to look for what it takes from other files of the repository; None: there
            nothing is known.
        imported: whether it is imported, so that its ``__main__`` guard is skipped.
        alone: whether none of the files of the repository that it uses can accept a connection.
    """

    def __init__(
        self,
        reader: StepReader,
        elsewhere: Elsewhere | None = None,
        *,
        imported: bool = False,
        alone: bool = False,
    ) -> None:
        self._reader = reader
        self._elsewhere = _Nowhere() if elsewhere is None else elsewhere
        self._imported = imported
        packages = reader.origins.packages()
        is_alone = alone or packages <= libraries.ALONE
        # Where other files are read, one of those may have something to listen with.
        self._endless = {
            True: is_alone if elsewhere is None else alone,
            False: elsewhere is not None or is_alone,
        }
        self._has_commands = bool(packages & libraries.COMMAND_LINES)
        self._known: dict[tuple[str, bool], set[Run]] = {}

    def run(self, body: list[ast.stmt]) -> Run | None:
        """What executing the statements certainly is; a server also when it works beside it."""
        return surely(self.kinds(body, certain=True))

    def kinds(self, body: list[ast.stmt], *, certain: bool) -> set[Run]:
        """Everything that executing the statements is, or else may be."""
        return self._all(self._reader.steps(body), certain)

    def may_serve(self, body: list[ast.stmt]) -> bool:
        """Whether some way through the statements ends in a server or a worker."""
        return bool(self.kinds(body, certain=False))

    def named(self, parts: list[str], *, certain: bool) -> set[Run]:
        """What calling ``name.attribute…`` of this file from another one is; of a function that
        is being followed just now, a set that still grows."""
        found = self._reader.named(parts)
        if len(found) == 1:
            return self._step(found[0], certain)
        return self._all(found, certain)

    def _all(self, found: Steps, certain: bool) -> set[Run]:
        kinds: set[Run] = set()
        for step in found:
            kinds |= self._step(step, certain)
        return kinds

    def _step(self, step: Step, certain: bool) -> set[Run]:  # noqa: PLR0911 - a table
        match step:
            case steps.Own(name=name):
                return self._function(name, certain)
            case steps.Elsewhere(dotted=dotted):
                return self._elsewhere.named(dotted, certain=certain)
            case steps.Import(dotted=dotted):
                return self._elsewhere.imported(dotted, certain=certain)
            case steps.Known(run=run):
                return {run}
            case steps.Start(target=target):
                return self._elsewhere.program(target, certain=certain)
            case steps.Guard(run=run, imported=imported):
                return self._all(imported if self._imported else run, certain)
            case steps.Maybe(steps=inner):
                return set() if certain else self._all(inner, certain)
            case steps.Branch(one=one, other=other):
                kinds, others = self._all(one, certain), self._all(other, certain)
                return kinds & others if certain else kinds | others
            case steps.Endless(steps=inner):
                kinds = self._all(inner, certain)
                return kinds or ({"worker"} if self._endless[certain] else set())

    def _function(self, name: str, certain: bool) -> set[Run]:
        """What the functions and methods of that name do; one that calls itself adds nothing."""
        if (name, certain) not in self._known:
            self._known[name, certain] = set()
            origins = self._reader.origins
            bodies = [*origins.functions.get(name, [])]
            if self._has_commands and not certain:
                bodies += origins.registered.get(name, [])
            for body in bodies:
                self._known[name, certain] |= self.kinds(body, certain=certain)
        return self._known[name, certain]


def surely(kinds: set[Run]) -> Run | None:
    """One word for what certainly happens: who serves and works beside it is asked."""
    return "web" if "web" in kinds else "worker" if "worker" in kinds else None


def functions_that_run(serving: Serving, body: Iterable[ast.stmt]) -> Iterator[tuple[str, Run]]:
    """Functions at module level and what calling each certainly is."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (
            kind := serving.run(node.body)
        ):
            yield node.name, kind
