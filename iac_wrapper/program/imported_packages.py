"""What a program certainly imports from outside of its repository, and which file does.

Followed from the program's own file. An import that may not be reached, or that the program can do
without (below `if`, `try` or `with`, in a function that is called later), does not count.
"""

from __future__ import annotations

import ast
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.program.detection.origins import imported_modules
from iac_wrapper.program.detection.own_files import OwnFiles
from iac_wrapper.program.detection.syntax import Function, is_guard, mentions

_MAX_FILES = 100
"""How many files are read, about a millisecond each."""


def imported_packages(own: OwnFiles, entrypoint: Entrypoint) -> dict[str, str]:
    """Dotted names that are imported (``google.cloud.storage.Client``), each with the file that
    does it; those of Python itself are left out.

    Args:
        own: the checkout's files.
        entrypoint: its program.
    """
    walk = _Walk(own)
    for start in _starts(own, entrypoint):
        walk.follow(start)
    return walk.found


@dataclass(frozen=True)
class _Start:
    """A file that the program begins with; `is_main`: run, not imported; `function`: called."""

    file: str
    is_main: bool = False
    function: str | None = None


def _starts(own: OwnFiles, entrypoint: Entrypoint) -> Iterator[_Start]:
    """Its own file, else those that the words of its command name: ``shop.web:app``, ``ui.py``."""
    if entrypoint.kind == "script":
        yield _Start(entrypoint.target, is_main=True, function=entrypoint.function)
        return
    is_main = entrypoint.function is None
    if entrypoint.kind == "module":
        parts = entrypoint.target.split(".")
        if file := own.module_file(parts, "", main=is_main)[0]:
            yield _Start(file, is_main, entrypoint.function)
            return
    folder = dict(entrypoint.variables).get("PYTHONPATH", "").removeprefix("/app/")
    words = entrypoint.target.split() if entrypoint.kind == "shell" else entrypoint.args
    for word in words:
        if word.endswith(".py") and own.path(word):
            yield _Start(word, is_main=True)
        elif ":" in word or "." in word:
            file, rest = own.module_file(word.partition(":")[0].split("."), folder)
            if file and not rest:
                yield _Start(file)


@dataclass
class _Walk:
    own: OwnFiles
    found: dict[str, str] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)

    def follow(self, start: _Start) -> None:
        """Read the file, and those that it takes from the repository, the nearest first."""
        waiting = deque([start])
        while waiting:
            at = waiting.popleft()
            if at.file not in self.seen and len(self.seen) < _MAX_FILES:
                self.seen.add(at.file)
                waiting += (_Start(file) for file in self._read(at))

    def _read(self, at: _Start) -> Iterator[str]:
        """Files of the repository that a file imports; other packages are noted."""
        parsed = self.own.parsed(at.file)
        if parsed is None:
            return
        for name in sorted(imported_modules(_certain(parsed.tree.body, at))):
            own, _ = self.own.located(name, at.file)
            if own:
                yield from self._with_packages(own)
            elif name.partition(".")[0] not in {"", *sys.stdlib_module_names}:
                self.found.setdefault(name, at.file)

    def _with_packages(self, relative: str) -> Iterator[str]:
        """A file, after the packages that it lies in: Python imports them first."""
        parents = (f"{folder}/__init__.py" for folder in PurePosixPath(relative).parents)
        yield from reversed([name for name in parents if self.own.path(name)])
        yield relative


def _certain(body: list[ast.stmt], at: _Start) -> Iterator[ast.stmt]:
    """Imports of a module, of its guard if it is run, and of functions that this calls."""
    functions = {node.name: node for node in body if isinstance(node, Function)}
    called = {at.function} if at.function else set()
    yield from _imports(body)
    for node in body:
        if at.is_main and isinstance(node, ast.If) and is_guard(node.test):
            yield from _imports(node.body)
            called |= _mentioned(node.body)
        elif at.is_main:
            called |= _mentioned([node])
    for name in sorted(called & functions.keys()):
        yield from _imports(functions[name].body)


def _imports(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    return (node for node in body if isinstance(node, ast.Import | ast.ImportFrom))


def _mentioned(body: Iterable[ast.stmt]) -> set[str]:
    """Names in statements that are plain calls, such as ``main()`` and ``asyncio.run(main())``."""
    return {name for node in body if isinstance(node, ast.Expr) for name in mentions(node)}
