"""What running a Python file certainly leads to: a server, or a program that works without one.

Reads calls through the names they are made of, and the commands of processes that it starts; a call
that only some branch reaches is not certain.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from typing import Protocol

from iac_wrapper.model.options import Run
from iac_wrapper.program.detection import commands, libraries
from iac_wrapper.program.detection.origins import OWN, OWN_FILE, Origins, imported_names
from iac_wrapper.program.detection.syntax import is_guard, last_name, walk

_APP_NAMES = {"app", "application", "server", "socketio"}
_COMMAND = ("args", "command", "cmd")
"""Arguments by whose name a command is given to what starts a process."""
_SERVER_OPTIONS = {"host", "port", "debug", "use_reloader", "ssl_context", "threaded", "sockets"}


class Elsewhere(Protocol):
    """The other files of the repository; names are those of `Origins`, from `OWN_FILE` on."""

    def named(self, dotted: str, *, certain: bool) -> set[Run]:
        """What calling the function, class or method of that name comes to."""

    def imported(self, dotted: str, *, certain: bool) -> set[Run]:
        """What importing that name executes."""

    def program(self, target: str, *, certain: bool) -> set[Run]:
        """What a process of Python comes to that runs this script or module."""


class Serving:
    """Asks one file; `certain` decides whether each branch of a condition must agree.

    Args:
        origins: where its names come from.
        elsewhere: where to look for what it takes from other files of the repository; None: there
            nothing is known.
        imported: whether it is imported, so that its ``__main__`` guard is skipped.
        alone: whether none of the files of the repository that it uses can accept a connection.
    """

    def __init__(
        self,
        origins: Origins,
        elsewhere: Elsewhere | None = None,
        *,
        imported: bool = False,
        alone: bool = False,
    ) -> None:
        self._origins = origins
        self._elsewhere = elsewhere
        self._imported = imported
        packages = origins.packages()
        self._alone = alone or packages <= libraries.ALONE
        self._all_alone = alone
        self._has_commands = bool(packages & libraries.COMMAND_LINES)
        self._known: dict[tuple[str, bool], set[Run]] = {}

    def run(self, body: Iterable[ast.stmt]) -> Run | None:
        """What executing the statements certainly is; a server also when it works beside it."""
        return surely(self.kinds(body, certain=True))

    def kinds(self, body: Iterable[ast.stmt], *, certain: bool) -> set[Run]:
        """Everything that executing the statements is, or else may be."""
        found: set[Run] = set()
        for statement in body:
            found |= self._statement(statement, certain)
        return found

    def may_serve(self, body: Iterable[ast.stmt]) -> bool:
        """Whether some way through the statements ends in a server or a worker."""
        return bool(self.kinds(body, certain=False))

    def _statement(self, node: ast.stmt, certain: bool) -> set[Run]:
        def block(body: list[ast.stmt]) -> set[Run]:
            return self.kinds(body, certain=certain)

        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                return set()
            case ast.Import() | ast.ImportFrom():
                return self._import(node, certain)
            case ast.If(test=test, body=body, orelse=orelse) if is_guard(test):
                return block(orelse if self._imported else body)
            case ast.If(test=test, body=body, orelse=orelse):
                one, other = block(body), block(orelse)
                branches = one & other if certain else one | other
                return branches | self._expression(test, certain)
            case ast.Match(cases=cases):
                return set() if certain else set().union(*(block(c.body) for c in cases))
        found: set[Run] = set()
        for part in ast.iter_child_nodes(node):
            if isinstance(part, ast.stmt):
                found |= self._statement(part, certain)
            elif isinstance(part, ast.ExceptHandler):
                found |= set() if certain else block(part.body)
            else:
                found |= self._expression(part, certain)
        return found or ({"worker"} if self._endless(node, certain) else set())

    def _import(self, node: ast.Import | ast.ImportFrom, certain: bool) -> set[Run]:
        found: set[Run] = set()
        for alias, (name, _) in zip(node.names, imported_names(node), strict=True):
            dotted = self._origins.dotted(ast.Name(name, ast.Load()))
            if self._elsewhere and dotted.startswith(OWN_FILE):
                whole = f"{OWN_FILE}{alias.name}" if isinstance(node, ast.Import) else dotted
                found |= self._elsewhere.imported(whole, certain=certain)
        return found

    def _expression(self, node: ast.AST, certain: bool) -> set[Run]:
        found: set[Run] = set()
        for part, dotted in self._origins.used(node):
            if isinstance(part, ast.Call):
                found |= self._call(part, dotted, certain)
            else:
                found |= self._reference(part, dotted, certain)
        return found

    def _call(self, call: ast.Call, dotted: str, certain: bool) -> set[Run]:
        named = {keyword.arg: keyword.value for keyword in call.keywords}
        if self._runs_own_app(call):
            return {"web"}
        if libraries.serves_if_told(dotted, named.get("transport")):
            return {"web"}
        if not libraries.starts_a_process(dotted):
            return set()
        arguments = [*call.args, *(named[name] for name in _COMMAND if name in named)]
        found: set[Run] = set()
        for command in commands.parsed(commands.words(arguments, self._origins.value)):
            known = commands.run(command)
            if not known and self._elsewhere:
                known = self._elsewhere.program(command[0], certain=certain)
            found |= known
        return found

    def _reference(self, node: ast.Name | ast.Attribute, dotted: str, certain: bool) -> set[Run]:
        last = node.id if isinstance(node, ast.Name) else node.attr
        here = isinstance(node, ast.Name) or dotted.startswith(OWN)
        return self._named(dotted, last if here else "", certain)

    def named(self, parts: list[str], *, certain: bool) -> set[Run]:
        """What calling ``name.attribute…`` of this file from another one is."""
        dotted = self._origins.dotted(ast.Name(parts[0], ast.Load()))
        return self._named(".".join([dotted, *parts[1:]]), parts[-1], certain)

    def _named(self, dotted: str, own: str, certain: bool) -> set[Run]:
        if libraries.serves(dotted):
            return {"web"}
        if libraries.works(dotted):
            return {"worker"}
        found = self._function(own, certain) if own else set()
        if self._elsewhere and dotted.startswith(OWN_FILE):
            found = found | self._elsewhere.named(dotted, certain=certain)
        return found

    def _function(self, name: str, certain: bool) -> set[Run]:
        """What the functions and methods of that name do; one that calls itself adds nothing."""
        if (name, certain) not in self._known:
            self._known[name, certain] = set()
            bodies = [*self._origins.functions.get(name, [])]
            if self._has_commands and not certain:
                bodies += self._origins.registered.get(name, [])
            for body in bodies:
                self._known[name, certain] |= self.kinds(body, certain=certain)
        return self._known[name, certain]

    def _runs_own_app(self, call: ast.Call) -> bool:
        """``app.run(…)`` of an object that the repository makes in another file."""
        function = call.func
        if not (isinstance(function, ast.Attribute) and function.attr == "run"):
            return False
        if not self._origins.dotted(function).startswith(OWN):
            return False
        options = {keyword.arg for keyword in call.keywords}
        base = function.value
        name = base.id if isinstance(base, ast.Name) else getattr(base, "attr", "")
        return bool(options & _SERVER_OPTIONS) or (name in _APP_NAMES and not call.args)

    def _endless(self, node: ast.stmt, certain: bool) -> bool:
        """``while True`` with a sleep and no way out.

        Certainly all there is in a file that has nothing to listen with; where other files are
        read, one of those may have.
        """
        if not isinstance(node, ast.While) or not _is_true(node.test):
            return False
        if certain and self._elsewhere and not self._all_alone:
            return False
        inner = [part for statement in node.body for part in walk(statement)]
        sleeps = any(isinstance(n, ast.Call) and last_name(n) == "sleep" for n in inner)
        leaves = any(isinstance(n, ast.Break | ast.Return) for n in inner)
        return sleeps and not leaves and (self._alone or self._elsewhere is not None)


def _is_true(test: ast.expr) -> bool:
    return isinstance(test, ast.Constant) and bool(test.value)


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
