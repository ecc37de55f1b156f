"""What the chosen program comes to, followed through the files of the repository that it reaches.

Asked where its own file does not tell. A server that only some way through the code leads to is
expected all the same, unless another way leads to work without one: a program that may serve is
better asked in vain than taken for good while its requests get nothing.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.model.options import Run
from iac_wrapper.program.detection import commands
from iac_wrapper.program.detection.imports import are_alone
from iac_wrapper.program.detection.own_files import MAX_BYTES
from iac_wrapper.program.detection.project import Project
from iac_wrapper.program.detection.serving import Serving, surely
from iac_wrapper.program.python_project import inside

MAX_FILES = 100
"""How many files are read, about a millisecond each."""


def run(project: Project, entrypoint: Entrypoint) -> Run | None:
    """What the program is for, None if its code does not tell."""
    if entrypoint.kind == "shell":
        return None
    key = entrypoint.kind, entrypoint.target, entrypoint.function
    if key not in project.reached:
        project.reached[key] = _run(project, entrypoint)
    return project.reached[key]


def _run(project: Project, entrypoint: Entrypoint) -> Run | None:
    reach = _Reach(project)
    reach.alone = are_alone(project, reach.program(entrypoint))
    try:
        certain = surely(reach.kinds(entrypoint, certain=True))
        if certain:
            return certain
        return "web" if reach.kinds(entrypoint, certain=False) == {"web"} else None
    except RecursionError:
        return None


@dataclass(frozen=True)
class _File:
    """One file: `relative` to the root, its statements, and questions to it."""

    relative: str
    body: list[ast.stmt]
    serving: Serving


@dataclass
class _Reach:
    project: Project
    alone: bool = False
    files: dict[tuple[str, bool], _File | None] = field(default_factory=dict)
    known: dict[tuple[str, str, bool], set[Run]] = field(default_factory=dict)

    def kinds(self, entrypoint: Entrypoint, *, certain: bool) -> set[Run]:
        if entrypoint.kind in ("binary", "command"):
            return self._script(entrypoint.target)
        is_imported = entrypoint.kind == "module" and entrypoint.function is not None
        file = self.file(self.program(entrypoint), imported=is_imported)
        if file is None:
            return set()
        found = file.serving.kinds(file.body, certain=certain)
        if entrypoint.function:
            found |= file.serving.named(entrypoint.function.split("."), certain=certain)
        return found

    def program(self, entrypoint: Entrypoint) -> str:
        """The file that a script or a module of the repository is."""
        if entrypoint.kind != "module":
            return entrypoint.target
        main = entrypoint.function is None
        return self.project.own.module_file(entrypoint.target.split("."), "", main=main)[0]

    def _script(self, target: str) -> set[Run]:
        """An executable file: what its lines start if it is a shell's."""
        path = inside(self.project.root, target.removeprefix("/app/"))
        if path is None or path.stat().st_size > MAX_BYTES:
            return set()
        text = path.read_bytes().decode(errors="replace")
        first = text.partition("\n")[0]
        if not (first.startswith("#!") and "sh" in first):
            return set()
        return set().union(*(commands.run(command) for command in commands.in_script(text)))

    def file(self, relative: str, *, imported: bool) -> _File | None:
        key = relative, imported
        if relative and key not in self.files and len(self.files) < MAX_FILES:
            self.files[key] = None
            self.files[key] = self._read(relative, imported)
        return self.files.get(key)

    def _read(self, relative: str, imported: bool) -> _File | None:
        parsed = self.project.own.parsed(relative)
        if parsed is None:
            return None
        own = _From(self, relative)
        serving = Serving(parsed.reader, own, imported=imported, alone=self.alone)
        return _File(relative, parsed.tree.body, serving)

    def once(self, key: tuple[str, str, bool], ask: Callable[[], set[Run]]) -> set[Run]:
        """What `ask` says, asked once: files may import one another."""
        if key not in self.known:
            self.known[key] = set()
            self.known[key] = ask()
        return self.known[key]


@dataclass(frozen=True)
class _From:
    """The other files, as seen from one; see `serving.Elsewhere`."""

    reach: _Reach
    relative: str

    def named(self, dotted: str, *, certain: bool) -> set[Run]:
        relative, rest = self.reach.project.own.located(dotted, self.relative)
        file = self.reach.file(relative, imported=True) if rest else None
        if file is None:
            return set()
        key = relative, ".".join(rest), certain
        return self.reach.once(key, partial(file.serving.named, rest, certain=certain))

    def imported(self, dotted: str, *, certain: bool) -> set[Run]:
        relative, _ = self.reach.project.own.located(dotted, self.relative)
        return self._body(relative, certain, imported=True)

    def program(self, target: str, *, certain: bool) -> set[Run]:
        relative = target.removeprefix("./").removeprefix("/app/")
        if not relative.endswith(".py"):
            relative, _ = self.reach.project.own.module_file(target.split("."), "", main=True)
        return self._body(relative, certain, imported=False)

    def _body(self, relative: str, certain: bool, *, imported: bool) -> set[Run]:
        file = self.reach.file(relative, imported=imported)
        if file is None:
            return set()
        key = relative, "import" if imported else "", certain  # neither is the name of anything
        return self.reach.once(key, partial(file.serving.kinds, file.body, certain=certain))
