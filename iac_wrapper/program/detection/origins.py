"""Where the names of one Python file come from: imports and constructors, followed to packages.

Scopes are not told apart: a name that a function binds counts for the whole file. That is enough
to know a server by what it is made of, and a wrong guess needs two things of one name in one file.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable, Iterator

from iac_wrapper.program.detection.syntax import Function

OWN = "?"
"""The first part of a dotted name that comes from the repository itself or from nowhere we see."""

_BUILTINS = frozenset(dir(builtins))

OWN_FILE = f"{OWN}/"
"""How a dotted name begins that is imported from a file of the repository; the rest is as it is
written there, with the dots of a relative import."""


class Origins:
    """Dotted names of expressions: ``flask.Flask().run`` for ``app.run``.

    Args:
        nodes: everything in the file, as `walk` has it.
        local: top-level modules of the repository: what is imported from them is its own.
    """

    def __init__(self, nodes: Iterable[ast.AST], local: frozenset[str]) -> None:
        self._local = local
        self._imports: dict[str, str] = {}
        self._values: dict[str, ast.expr] = {}
        self._classes: dict[str, ast.ClassDef] = {}
        self._all_of: set[str] = set()
        self.functions: dict[str, list[list[ast.stmt]]] = {}
        self.registered: dict[str, list[list[ast.stmt]]] = {}
        for node in nodes:
            self._collect(node)

    def dotted(self, node: ast.expr, _seen: frozenset[str] = frozenset()) -> str:
        """The dotted name of `node`; ``()`` stands for a call, `OWN` for an unknown start."""
        match node:
            case ast.Name(id=name):
                return self._name(name, _seen)
            case ast.Attribute(value=value, attr=attr):
                bound = self._values.get(attr) if _is_self(value) else None
                if bound is not None and attr not in _seen:
                    return self.dotted(bound, _seen | {attr})
                return f"{self.dotted(value, _seen)}.{attr}"
            case ast.Call(func=function):
                return self.dotted(function, _seen) + "()"
            case ast.Await(value=value):
                return self.dotted(value, _seen)
        return OWN

    def value(self, name: str) -> ast.expr | None:
        """What a name was bound to first."""
        return self._values.get(name)

    def packages(self) -> set[str]:
        """Top-level packages that the file imports."""
        return {origin.split(".")[0] for origin in self._imports.values()}

    def own_imports(self) -> frozenset[str]:
        """Dotted names that it takes from files of the repository."""
        return frozenset(name for name in self._imports.values() if name.startswith(OWN_FILE))

    def _name(self, name: str, seen: frozenset[str]) -> str:
        if name in self._imports:
            return self._imports[name]
        if name in seen:
            return f"{OWN}.{name}"
        if value := self._values.get(name):
            return self.dotted(value, seen | {name})
        if (definition := self._classes.get(name)) and definition.bases:
            return self.dotted(definition.bases[0], seen | {name})
        if len(self._all_of) == 1 and name not in {*self.functions, *self._classes, *_BUILTINS}:
            return f"{min(self._all_of)}.{name}"
        return f"{OWN}.{name}"

    def _collect(self, node: ast.AST) -> None:
        match node:
            case ast.Import() | ast.ImportFrom():
                self._imports |= dict(self._imported(node))
                if everything := self._imports.get("*", "").removesuffix(".*"):
                    self._all_of |= {everything} - {OWN}
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    self._bind(target, value)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                self._bind(target, value)
            case ast.NamedExpr(target=target, value=value):
                self._bind(target, value)
            case ast.With(items=items) | ast.AsyncWith(items=items):
                for item in items:
                    if item.optional_vars is not None:
                        self._bind(item.optional_vars, item.context_expr)
            case ast.ClassDef(name=name, body=body):
                self._classes[name] = node
                made = [f.body for f in body if isinstance(f, Function) and f.name == "__init__"]
                self.functions.setdefault(name, []).extend(made)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self.functions.setdefault(node.name, []).append(node.body)
                for decorator in node.decorator_list:
                    self.registered.setdefault(_root(decorator), []).append(node.body)

    def _bind(self, target: ast.expr, value: ast.expr) -> None:
        """A name, or an attribute such as ``self.server``; the first value counts."""
        if isinstance(target, ast.Name):
            self._values.setdefault(target.id, value)
        elif isinstance(target, ast.Attribute) and _is_self(target.value):
            self._values.setdefault(target.attr, value)

    def _imported(self, node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, str]]:
        for name, full in imported_names(node):
            own = full.startswith(".") or full.split(".")[0] in self._local
            yield name, f"{OWN_FILE}{full}" if own else full


def imported_names(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, str]]:
    """Each name that an import binds, and what it stands for."""
    for alias in node.names:
        if isinstance(node, ast.Import):
            full = alias.name if alias.asname else alias.name.split(".")[0]
            yield alias.asname or full, full
        else:
            module = f"{'.' * node.level}{node.module or ''}"
            joint = "" if module.endswith(".") else "."
            yield alias.asname or alias.name, f"{module}{joint}{alias.name}"


def imported_modules(nodes: Iterable[ast.AST]) -> frozenset[str]:
    """Everything that these nodes of a file import: dotted, with the dots of a relative import; a
    name that is taken from a module is the last part."""
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {full for _, full in imported_names(node)}
    return frozenset(found)


def _root(decorator: ast.expr) -> str:
    """``app`` of ``@app.command()``."""
    while isinstance(decorator, ast.Call | ast.Attribute):
        decorator = decorator.func if isinstance(decorator, ast.Call) else decorator.value
    return decorator.id if isinstance(decorator, ast.Name) else ""


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in ("self", "cls")
