"""Questions to a syntax tree that need no knowledge of what programs are."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

Function = ast.FunctionDef | ast.AsyncFunctionDef
Definition = Function | ast.ClassDef


class _Holding(dict[type[ast.AST], tuple[str, ...]]):
    """The fields of each kind of node that may hold others."""

    def __missing__(self, kind: type[ast.AST]) -> tuple[str, ...]:
        leaves = {"attr", "ctx", "id", "kind"}
        self[kind] = tuple(name for name in kind._fields if name not in leaves)
        return self[kind]


_HOLDING = _Holding()


def walk(root: ast.AST) -> list[ast.AST]:
    """What `ast.walk` gives and in its order, without contexts (`ast.Load`), in half the
    time."""
    found = [root]
    for node in found:
        for name in _HOLDING[type(node)]:
            value = getattr(node, name, None)
            if type(value) is list:
                found += [each for each in value if isinstance(each, ast.AST)]
            elif isinstance(value, ast.AST):
                found.append(value)
    return found


def module_level(body: list[ast.stmt], *, imported: bool = False) -> Iterator[ast.stmt]:
    """Statements that run with the file, those inside if, try and with included.

    Args:
        body: the statements of the file, or of a function.
        imported: without those of its ``__main__`` guard, which an import does not run.
    """
    for statement in body:
        yield statement
        if isinstance(statement, ast.If | ast.Try | ast.With | ast.For | ast.While):
            skipped = imported and isinstance(statement, ast.If) and is_guard(statement.test)
            for part in ("orelse", "finalbody") if skipped else ("body", "orelse", "finalbody"):
                yield from module_level(getattr(statement, part, []), imported=imported)
            for handler in getattr(statement, "handlers", []):
                yield from module_level(handler.body, imported=imported)


def mentions(node: ast.AST) -> Iterator[str]:
    """Names and attributes that executing `node` reads, not looking into function bodies."""
    if isinstance(node, Function):
        for part in (*node.decorator_list, *node.args.defaults, *node.args.kw_defaults):
            if part is not None:
                yield from mentions(part)
        return
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        yield node.id
    elif isinstance(node, ast.Attribute):
        yield node.attr
    for child in ast.iter_child_nodes(node):
        yield from mentions(child)


def all_mentions(definition: Definition) -> Iterator[str]:
    """Names and attributes anywhere in a definition, bodies included."""
    for node in walk(definition):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr


def is_guard(test: ast.expr) -> bool:
    """``__name__ == "__main__"``, either way round, also inside ``and``; or in a set with it."""
    for node in walk(test):
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In):
            names = {ast.dump(each) for each in walk(node.comparators[0])}
            if ast.dump(node.left) == ast.dump(_NAME) and ast.dump(_MAIN) in names:
                return True
        if isinstance(node, ast.Compare) and any(isinstance(op, ast.Eq) for op in node.ops):
            sides = {ast.dump(side) for side in (node.left, *node.comparators)}
            if {ast.dump(_NAME), ast.dump(_MAIN)} <= sides:
                return True
    return False


_NAME = ast.Name("__name__", ast.Load())
_MAIN = ast.Constant("__main__")


def only_passes(body: list[ast.stmt]) -> bool:
    """Nothing but ``pass`` and texts."""
    return all(isinstance(s, ast.Pass) or is_text(s) for s in body)


def only_talks(body: list[ast.stmt]) -> bool:
    """Nothing but messages: ``print(…)``, ``log.info(…)``."""
    return all(isinstance(s, ast.Pass | ast.Import | ast.ImportFrom) or _talks(s) for s in body)


_STARTS = {"run", "run_app", "run_server", "run_task", "listen", "serve", "start", "launch"}


def preparation(guards: list[ast.If], names: set[str]) -> str:
    """The first call of a method of one of `names` that does not start it; empty: none."""
    for call in (node for guard in guards for node in walk(guard)):
        match call:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=method)):
                if name in names and method not in _STARTS:
                    return f"{name}.{method}()"
    return ""


_SPEAKERS = {"print", "echo", "exit", "info", "warning", "error", "debug", "write"}


_CONTEXTS = {"app_context", "test_request_context"}
_PREPARES = re.compile(r"(create|init|setup|make|migrate|upgrade|seed)(_|$)|load_dotenv$")
"""Names of calls that make the application, or what it is to find: tables, say."""


def only_prepares(body: list[ast.stmt]) -> bool:
    """Nothing but messages, and what a server does as well or what is done before: the application
    is bound to a name, tables are made."""
    return all(only_talks([s]) or _prepares(s) for s in body)


def _prepares(statement: ast.stmt) -> bool:
    match statement:
        case ast.Assign(targets=[ast.Name()], value=ast.Call() as call) | ast.Expr(
            value=ast.Call() as call
        ):
            return bool(_PREPARES.match(last_name(call)))
        case ast.With(items=[ast.withitem(context_expr=ast.Call() as call)]):
            return last_name(call) in _CONTEXTS
    return False


def _talks(statement: ast.stmt) -> bool:
    if not isinstance(statement, ast.Expr):
        return False
    value = statement.value
    return is_text(statement) or (isinstance(value, ast.Call) and last_name(value) in _SPEAKERS)


def is_text(statement: ast.stmt) -> bool:
    """A docstring, or a constant on its own line."""
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def is_action(statement: ast.stmt) -> bool:
    """Does more than bind a name."""
    if isinstance(statement, ast.Expr):
        return not is_text(statement)
    return isinstance(statement, ast.For | ast.While | ast.With | ast.Raise | ast.AsyncFor)


def required_parameters(function: Function) -> list[ast.arg]:
    """Those without a default, the positional ones first."""
    given = function.args
    positional = [*given.posonlyargs, *given.args]
    named = zip(given.kwonlyargs, given.kw_defaults, strict=True)
    return [
        *positional[: len(positional) - len(given.defaults)],
        *(parameter for parameter, default in named if default is None),
    ]


def target_names(targets: list[ast.expr]) -> Iterator[str]:
    """The plain names that an assignment binds."""
    for target in targets:
        if isinstance(target, ast.Name):
            yield target.id
        elif isinstance(target, ast.Tuple | ast.List):
            yield from target_names(target.elts)


def mounted_names(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Names that are made a part of something else: ``x`` of ``app.mount("/x", x)``."""
    for node in nodes:
        if isinstance(node, ast.Call) and last_name(node) in {"mount", "Mount", "add_subapp"}:
            values = [*node.args, *(keyword.value for keyword in node.keywords)]
            yield from (value.id for value in values if isinstance(value, ast.Name))


def last_name(call: ast.Call) -> str:
    """``Flask`` of ``flask.Flask(…)``; empty for a call of something without a name."""
    function = call.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""
