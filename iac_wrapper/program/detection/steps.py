"""What in the statements of a Python file may lead to a server or a worker.

Each body is read once, into a short list of steps: most of it leads to nothing and leaves none.
What the steps come to is asked of `serving`, anew for each program that reaches the file.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from iac_wrapper.model.options import Run
from iac_wrapper.program.detection import commands, libraries
from iac_wrapper.program.detection.origins import OWN, OWN_FILE, Origins, imported_names
from iac_wrapper.program.detection.syntax import is_guard, last_name, walk

_APP_NAMES = {"app", "application", "server", "socketio"}
_COMMAND = ("args", "command", "cmd")
"""Arguments by whose name a command is given to what starts a process."""
_SERVER_OPTIONS = {"host", "port", "debug", "use_reloader", "ssl_context", "threaded", "sockets"}


@dataclass(frozen=True)
class Known:
    """It certainly is this."""

    run: Run


@dataclass(frozen=True)
class Own:
    """It mentions functions, methods or a class of this name in the same file."""

    name: str


@dataclass(frozen=True)
class Elsewhere:
    """It mentions a name that is imported from another file of the repository."""

    dotted: str


@dataclass(frozen=True)
class Import:
    """It imports from another file of the repository."""

    dotted: str


@dataclass(frozen=True)
class Start:
    """It starts a process with this script, module or other program."""

    target: str


@dataclass(frozen=True)
class Branch:
    """It does one or the other."""

    one: Steps
    other: Steps


@dataclass(frozen=True)
class Maybe:
    """It may do this, or nothing."""

    steps: Steps


@dataclass(frozen=True)
class Guard:
    """It does one thing where the file is run, another where it is imported."""

    run: Steps
    imported: Steps


@dataclass(frozen=True)
class Endless:
    """``while True`` with a sleep and no way out."""

    steps: Steps


Step = Known | Own | Elsewhere | Import | Start | Branch | Maybe | Guard | Endless
Steps = tuple[Step, ...]


@dataclass(frozen=True)
class StepReader:
    """Reads the bodies of one file, whose names `origins` knows."""

    origins: Origins
    _read: dict[int, Steps] = field(default_factory=dict)

    def steps(self, body: list[ast.stmt]) -> Steps:
        """What executing `body`, statements of the file's own tree, may lead to."""
        key = id(body)
        if key not in self._read:
            self._read[key] = self._block(body)
        return self._read[key]

    def named(self, parts: list[str]) -> Steps:
        """The same of calling ``name.attribute…`` of the file."""
        dotted = self.origins.dotted(ast.Name(parts[0], ast.Load()))
        return tuple(self._named(".".join([dotted, *parts[1:]]), parts[-1]))

    def _block(self, body: Iterable[ast.stmt]) -> Steps:
        return _each_once(step for node in body for step in self._statement(node))

    def _statement(self, node: ast.stmt) -> Iterable[Step]:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                return ()
            case ast.Import() | ast.ImportFrom():
                return self._import(node)
            case ast.If(test=test, body=body, orelse=orelse) if is_guard(test):
                one, other = self._block(body), self._block(orelse)
                return (Guard(one, other),) if one or other else ()
            case ast.If(test=test, body=body, orelse=orelse):
                one, other = self._block(body), self._block(orelse)
                branch = (Branch(one, other),) if one or other else ()
                return *branch, *self._expression(test)
            case ast.Match(cases=cases):
                return _maybe(self._block(s for case in cases for s in case.body))
        steps = _each_once(self._parts(node))
        return (Endless(steps),) if _is_endless(node) else steps

    def _parts(self, node: ast.stmt) -> Iterator[Step]:
        for part in ast.iter_child_nodes(node):
            if isinstance(part, ast.stmt):
                yield from self._statement(part)
            elif isinstance(part, ast.ExceptHandler):
                yield from _maybe(self._block(part.body))
            else:
                yield from self._expression(part)

    def _import(self, node: ast.Import | ast.ImportFrom) -> Iterator[Step]:
        for alias, (name, _) in zip(node.names, imported_names(node), strict=True):
            dotted = self.origins.dotted(ast.Name(name, ast.Load()))
            if dotted.startswith(OWN_FILE):
                whole = isinstance(node, ast.Import)
                yield Import(f"{OWN_FILE}{alias.name}" if whole else dotted)

    def _expression(self, node: ast.AST) -> Iterator[Step]:
        for part in walk(node):
            if isinstance(part, ast.Call):
                yield from self._call(part)
            elif isinstance(part, ast.Name | ast.Attribute):
                dotted = self.origins.dotted(part)
                last = part.id if isinstance(part, ast.Name) else part.attr
                here = isinstance(part, ast.Name) or dotted.startswith(OWN)
                yield from self._named(dotted, last if here else "")

    def _named(self, dotted: str, own: str) -> Iterator[Step]:
        if libraries.serves(dotted):
            yield Known("web")
        elif libraries.works(dotted):
            yield Known("worker")
        else:
            if own in self.origins.functions or own in self.origins.registered:
                yield Own(own)
            if dotted.startswith(OWN_FILE):
                yield Elsewhere(dotted)

    def _call(self, call: ast.Call) -> Iterator[Step]:
        dotted = self.origins.dotted(call.func)
        named = {keyword.arg: keyword.value for keyword in call.keywords}
        if self._runs_own_app(call, dotted) or libraries.serves_if_told(
            dotted, named.get("transport")
        ):
            yield Known("web")
        elif libraries.starts_a_process(dotted):
            arguments = [*call.args, *(named[name] for name in _COMMAND if name in named)]
            for command in commands.parsed(commands.words(arguments, self.origins.value)):
                known = commands.run(command)
                yield from map(Known, sorted(known)) if known else (Start(command[0]),)

    def _runs_own_app(self, call: ast.Call, dotted: str) -> bool:
        """``app.run(…)`` of an object that the repository makes elsewhere; the same of a page of
        Gradio."""
        function = call.func
        if not (isinstance(function, ast.Attribute) and dotted.startswith(OWN)):
            return False
        if function.attr == "launch":
            return "gradio" in self.origins.packages()
        if function.attr != "run":
            return False
        options = {keyword.arg for keyword in call.keywords}
        base = function.value
        name = base.id if isinstance(base, ast.Name) else getattr(base, "attr", "")
        return bool(options & _SERVER_OPTIONS) or (name in _APP_NAMES and not call.args)


def _each_once(steps: Iterable[Step]) -> Steps:
    return tuple(dict.fromkeys(steps))


def _maybe(steps: Steps) -> Steps:
    return (Maybe(steps),) if steps else ()


def _is_endless(node: ast.stmt) -> bool:
    if not (isinstance(node, ast.While) and _is_true(node.test)):
        return False
    inner = [part for statement in node.body for part in walk(statement)]
    sleeps = any(isinstance(n, ast.Call) and last_name(n) == "sleep" for n in inner)
    return sleeps and not any(isinstance(n, ast.Break | ast.Return) for n in inner)


def _is_true(test: ast.expr) -> bool:
    return isinstance(test, ast.Constant) and bool(test.value)
