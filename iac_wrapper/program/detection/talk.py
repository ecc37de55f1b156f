"""Programs that certainly only print and end, such as the one that a generator left behind."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.program.detection import reach
from iac_wrapper.program.detection.origins import OWN, OWN_FILE, Origins
from iac_wrapper.program.detection.project import Project
from iac_wrapper.program.detection.syntax import Definition, Function, is_guard, walk
from iac_wrapper.program.python_project import inside

_MAX_BYTES = 50_000
"""A longer file does more than to print."""

_HARMLESS = re.compile(
    r"""
    (.*\.)?(print|str|len|int|repr|format|join|echo|secho|info|debug|warning|upper|lower|strip)
    |asyncio\.run|os\.(getenv|environ\.get)|sys\.exit|logging\.(getLogger|basicConfig)
    |(importlib\.metadata|platform|datetime|time|textwrap|rich)\..*
    """,
    re.X,
)
"""Dotted names of calls that print, or that make what is printed."""

_STATEMENTS = (
    *(ast.Pass, ast.Import, ast.ImportFrom, ast.Return, ast.Assign, ast.AnnAssign, ast.Expr),
    *(ast.If, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef),
)


def only_talks(project: Project, entrypoint: Entrypoint) -> bool:
    """Whether a module or script is made of messages: no server, no loop and no call that is not
    known, neither in it nor in what it takes from the checkout."""
    if entrypoint.kind not in ("module", "script"):
        return False
    relative = entrypoint.target
    if entrypoint.kind == "module":
        is_main = entrypoint.function is None
        relative = project.own.module_file(relative.split("."), "", main=is_main)[0]
    talk = _Talk(project)
    is_talk = talk.file(relative, imported=entrypoint.function is not None)
    if is_talk and entrypoint.function:
        is_talk = talk.function(relative, entrypoint.function)
    return is_talk and reach.run(project, entrypoint) is None


@dataclass(frozen=True)
class _File:
    relative: str
    tree: ast.Module
    origins: Origins
    functions: dict[str, ast.FunctionDef | ast.AsyncFunctionDef]


@dataclass
class _Talk:
    project: Project
    seen: set[tuple[str, str]] = field(default_factory=set)

    def file(self, relative: str, *, imported: bool = True) -> bool:
        """Whether the module level of a file is nothing but messages."""
        if (relative, "") in self.seen:
            return True
        self.seen.add((relative, ""))
        file = self._read(relative)
        if file is None:
            return False
        body = file.tree.body
        if imported:
            body = [s for s in body if not (isinstance(s, ast.If) and is_guard(s.test))]
        return self._all(file, body)

    def function(self, relative: str, name: str) -> bool:
        """The same of a function."""
        if (relative, name) in self.seen:
            return True
        self.seen.add((relative, name))
        file = self._read(relative)
        found = file.functions.get(name) if file else None
        return file is not None and found is not None and self._all(file, found.body)

    def _read(self, relative: str) -> _File | None:
        path = inside(self.project.root, relative) if relative else None
        if path is None or path.stat().st_size > _MAX_BYTES:
            return None
        parsed = self.project.own.parsed(relative)
        if parsed is None:
            return None
        functions = {n.name: n for n in parsed.tree.body if isinstance(n, Function)}
        return _File(relative, parsed.tree, parsed.origins, functions)

    def _all(self, file: _File, body: Iterable[ast.stmt]) -> bool:
        return all(self._statement(file, statement) for statement in body)

    def _statement(self, file: _File, node: ast.stmt) -> bool:
        if not isinstance(node, _STATEMENTS):
            return False
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = (alias.asname or alias.name.split(".")[0] for alias in node.names)
            dotted = (file.origins.dotted(ast.Name(name, ast.Load())) for name in names)
            own = (name for name in dotted if name.startswith(OWN_FILE))
            return all(self.file(self.project.own.located(n, file.relative)[0]) for n in own)
        if isinstance(node, Definition):
            return not node.decorator_list
        if isinstance(node, ast.If):
            return self._calls(file, node.test) and self._all(file, [*node.body, *node.orelse])
        return self._calls(file, node)

    def _calls(self, file: _File, node: ast.AST) -> bool:
        """Whether all calls in it are known."""
        calls = (part for part in walk(node) if isinstance(part, ast.Call))
        return all(self._call(file, call) for call in calls)

    def _call(self, file: _File, call: ast.Call) -> bool:
        dotted = file.origins.dotted(call.func)
        if dotted.startswith(OWN_FILE):
            relative, rest = self.project.own.located(dotted, file.relative)
            return len(rest) == 1 and self.function(relative, rest[0])
        own = dotted.removeprefix(f"{OWN}.")
        if own in file.functions:
            return self.function(file.relative, own)
        return bool(_HARMLESS.fullmatch(own))
