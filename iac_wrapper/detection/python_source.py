"""Reads one Python file as a syntax tree and says what running it would do. Never runs it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Function = ast.FunctionDef | ast.AsyncFunctionDef
Definition = Function | ast.ClassDef

_APPS: dict[str, Literal["flask", "wsgi", "asgi"]] = {
    "Flask": "flask",
    "get_wsgi_application": "wsgi",
    "FastAPI": "asgi",
    "Starlette": "asgi",
    "Quart": "asgi",
    "Litestar": "asgi",
    "get_asgi_application": "asgi",
}
"""Calls that make a web application object, and the interface that object speaks."""

_FACTORIES = ("create_app", "make_app")
"""Names by which `flask run` itself finds an application factory."""

_SERVES = {"run", "serve", "serve_forever", "run_app", "run_simple"}
"""Calls that serve an application until the end of the program."""

_MAX_BYTES = 1_000_000
"""Larger files are generated; parsing one costs about a second a megabyte."""


@dataclass(frozen=True)
class WebApp:
    """An application object (or, with `factory`, a function that makes one) at module level."""

    kind: Literal["flask", "wsgi", "asgi"]
    name: str
    factory: bool = False


@dataclass(frozen=True)
class PythonSource:
    """What a file does.

    `names` are bound at module level; `calls_main_missing` says that a callable ``main`` is one of
    them, needs no arguments and nothing mentions it; `acts` that running the file does more than
    define things; `fault` is a sentence with the line if the file does not parse.
    """

    names: frozenset[str] = frozenset()
    guard: bool = False
    acts: bool = False
    defines_main: bool = False
    calls_main_missing: bool = False
    web_app: WebApp | None = None
    open_ended: bool = False
    fault: str | None = None
    fault_line: int | None = None


def read(path: Path) -> PythonSource:
    """Parse `path`; a file that does not parse gives a source with a `fault`."""
    if path.stat().st_size > _MAX_BYTES:
        return PythonSource(fault=f"larger than {_MAX_BYTES} bytes")
    try:
        tree = ast.parse(path.read_bytes(), filename=path.name)
    except SyntaxError as error:
        return PythonSource(fault=error.msg, fault_line=error.lineno)
    except (ValueError, RecursionError, MemoryError) as error:
        return PythonSource(fault=str(error) or type(error).__name__)
    return _Reader(tree).source()


@dataclass
class _Reader:
    """One pass over the module level, then the questions."""

    tree: ast.Module
    definitions: dict[str, Definition] = field(default_factory=dict)
    assigned: dict[str, ast.expr | None] = field(default_factory=dict)
    imported: dict[str, str] = field(default_factory=dict)
    guards: list[ast.If] = field(default_factory=list)
    open_ended: bool = False

    def source(self) -> PythonSource:
        """Collect, then answer."""
        statements = list(_module_level(self.tree.body))
        for statement in statements:
            self._collect(statement)
        used = self._used()
        guard = any(not _only_passes(node.body) for node in self.guards)
        main_missing = not guard and "main" not in used and self._callable_main()
        return PythonSource(
            names=frozenset({*self.definitions, *self.assigned, *self.imported}),
            guard=guard,
            acts=guard or self._acts(statements, used),
            defines_main=isinstance(self.definitions.get("main"), Function),
            calls_main_missing=main_missing,
            web_app=None if guard or used & _SERVES else self._web_app(),
            open_ended=self.open_ended,
        )

    def _collect(self, statement: ast.stmt) -> None:
        match statement:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                self.definitions[statement.name] = statement
                self.open_ended |= statement.name == "__getattr__"
            case ast.Assign():
                for name in _target_names(statement.targets):
                    self.assigned[name] = statement.value
            case ast.AnnAssign(target=ast.Name(id=name), value=value):
                self.assigned[name] = value
            case ast.Import() | ast.ImportFrom():
                module = getattr(statement, "module", None) or ""
                for alias in statement.names:
                    name = alias.asname or alias.name.split(".")[0]
                    self.imported[name] = module or alias.name
                    self.open_ended |= alias.name == "*"
            case ast.If() if _is_guard(statement.test):
                self.guards.append(statement)

    def _used(self) -> set[str]:
        """Names and attributes that running the file would touch, through local functions too."""
        used: set[str] = set()
        waiting = [name for s in self.tree.body for name in _mentions(s)]
        while waiting:
            name = waiting.pop()
            if name in used:
                continue
            used.add(name)
            if definition := self.definitions.get(name):
                waiting.extend(_all_mentions(definition))
        return used

    def _acts(self, statements: list[ast.stmt], used: set[str]) -> bool:
        if any(_is_action(statement) for statement in statements):
            return True
        if not self.definitions and self.imported and not self.assigned:
            return True  # a file of imports is run for what they do
        return any(isinstance(self.definitions.get(name), Function) for name in used)

    def _callable_main(self) -> bool:
        definition = self.definitions.get("main")
        if isinstance(definition, Function):
            if definition.decorator_list:
                return not any(self._registers(d) for d in definition.decorator_list)
            return not _required_arguments(definition)
        value = self.assigned.get("main")
        return "main" in self.imported or isinstance(value, ast.Name | ast.Attribute | ast.Call)

    def _registers(self, decorator: ast.expr) -> bool:
        """``@app.route`` hands the function to `app`; ``@click.command`` makes it callable."""
        root = decorator
        while isinstance(root, ast.Call | ast.Attribute):
            root = root.func if isinstance(root, ast.Call) else root.value
        return isinstance(root, ast.Name) and root.id in self.assigned

    def _web_app(self) -> WebApp | None:
        for name, value in self.assigned.items():
            if isinstance(value, ast.Call) and (kind := _APPS.get(_last_name(value.func))):
                return WebApp(kind, name)
        modules = {module.split(".")[0] for module in self.imported.values()}
        for name in _FACTORIES:
            definition = self.definitions.get(name)
            if isinstance(definition, Function) and not _required_arguments(definition):
                if "flask" in modules:
                    return WebApp("flask", name, factory=True)
                if modules & {"fastapi", "starlette", "quart", "litestar"}:
                    return WebApp("asgi", name, factory=True)
        return None


def _module_level(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements that run on import, those inside if, try and with included."""
    for statement in body:
        yield statement
        if isinstance(statement, ast.If | ast.Try | ast.With | ast.For | ast.While):
            for part in ("body", "orelse", "finalbody"):
                yield from _module_level(getattr(statement, part, []))
            for handler in getattr(statement, "handlers", []):
                yield from _module_level(handler.body)


def _mentions(node: ast.AST) -> Iterator[str]:
    """Names and attributes that executing `node` reads, not looking into function bodies."""
    if isinstance(node, Function):
        for part in (*node.decorator_list, *node.args.defaults, *node.args.kw_defaults):
            if part is not None:
                yield from _mentions(part)
        return
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        yield node.id
    elif isinstance(node, ast.Attribute):
        yield node.attr
    for child in ast.iter_child_nodes(node):
        yield from _mentions(child)


def _all_mentions(definition: Definition) -> Iterator[str]:
    for node in ast.walk(definition):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr


def _is_guard(test: ast.expr) -> bool:
    """``__name__ == "__main__"``, either way round, also inside ``and``."""
    for node in ast.walk(test):
        if isinstance(node, ast.Compare) and any(isinstance(op, ast.Eq) for op in node.ops):
            sides = {ast.dump(side) for side in (node.left, *node.comparators)}
            if {ast.dump(_NAME), ast.dump(_MAIN)} <= sides:
                return True
    return False


_NAME = ast.Name("__name__", ast.Load())
_MAIN = ast.Constant("__main__")


def _only_passes(body: list[ast.stmt]) -> bool:
    return all(isinstance(s, ast.Pass) or _is_text(s) for s in body)


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _is_action(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Expr):
        return not _is_text(statement)
    return isinstance(statement, ast.For | ast.While | ast.With | ast.Raise | ast.AsyncFor)


def _required_arguments(function: Function) -> bool:
    arguments = function.args
    positional = len(arguments.posonlyargs) + len(arguments.args) - len(arguments.defaults)
    return positional > 0 or any(default is None for default in arguments.kw_defaults)


def _target_names(targets: list[ast.expr]) -> Iterator[str]:
    for target in targets:
        if isinstance(target, ast.Name):
            yield target.id
        elif isinstance(target, ast.Tuple | ast.List):
            yield from _target_names(target.elts)


def _last_name(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""
