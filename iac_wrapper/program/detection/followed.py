"""Web application objects that another function or file of the checkout makes.

``app = create_app()`` and ``from shop.web import app`` are followed to the call that makes the
object, through functions, their annotations and imports; nothing is imported.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from iac_wrapper.program.detection.origins import OWN, OWN_FILE, Origins
from iac_wrapper.program.detection.own_files import OwnFiles
from iac_wrapper.program.detection.syntax import (
    Function,
    last_name,
    module_level,
    required_parameters,
    target_names,
    walk,
)
from iac_wrapper.program.detection.web_objects import (
    DASH_SERVER,
    FACTORIES,
    FACTORY_NAME,
    WELL_KNOWN,
    Kind,
    WebApp,
    class_kind,
    made_kind,
)

_MAX_STEPS = 12
"""How many calls, names and imports lie between an object and the call that makes it."""

_OUTER = re.compile("^(?!_)(?!.*(?:test|dev|debug|local)).*app")
"""Names of functions that may make the application that a service is."""

_WRAPPERS = ("Middleware", "ProxyFix", "WhiteNoise")
"""Ends of the names of classes around an application that are one themselves."""


@dataclass(frozen=True)
class _File:
    """`bound` is what its module level binds to values, `imports` the names that it imports."""

    relative: str
    origins: Origins
    bound: dict[str, ast.expr]
    imports: set[str]
    definitions: dict[str, list[Function]]
    classes: dict[str, ast.ClassDef]


@dataclass
class Follower:
    """Asks the files of a checkout."""

    own: OwnFiles
    _files: dict[str, _File | None] = field(default_factory=dict)

    def web_apps(self, relative: str) -> tuple[WebApp, ...]:
        """The objects that the file's module level gets from elsewhere; a usual name alone if one
        has it, else factories if there are any."""
        file = self._file(relative)
        if file is None:
            return ()
        found = list(self._objects(file))
        expected = [app for name in WELL_KNOWN for app in found if app.name == name]
        return tuple(expected[:1] or found or self._factories(file))

    def kind(self, relative: str, name: str) -> Kind | None:
        """What the object `name` of the file's module level speaks; None: it is none."""
        return self._named(relative, name, _MAX_STEPS)

    def made(self, relative: str, name: str) -> Kind | None:
        """What calling the function `name` of the file gives."""
        return self._called(relative, name, _MAX_STEPS)

    def outermost(self, relative: str, app: WebApp) -> WebApp:
        """`app`; a factory gives way to the one of its file that calls it."""
        file = self._file(relative) if app.factory else None
        return (self._outer(file, app.name) if file else None) or app

    def _objects(self, file: _File) -> Iterator[WebApp]:
        for name, value in file.bound.items():
            if isinstance(value, ast.Call | ast.Name | ast.Attribute) and (
                kind := self._kind(file, value, {}, _MAX_STEPS)
            ):
                yield WebApp(kind, name)
        for name in (*WELL_KNOWN, DASH_SERVER):
            if name in file.imports and name not in file.bound:
                origin = self._origin(file, name)
                kind = self._named(*origin, _MAX_STEPS) if origin else None
                if kind:
                    yield WebApp(kind, name, imported=origin)

    def _factories(self, file: _File) -> Iterator[WebApp]:
        for name in FACTORIES:
            for definition in file.definitions.get(name, ())[:1]:
                found = self._outer(file, name) or self._factory(file, definition)
                if found:
                    yield found
                    return
        yield from self._only_factory(file)

    def _only_factory(self, file: _File) -> Iterator[WebApp]:
        """The one factory of another name that none of the others calls."""
        named = {n: d[0] for n, d in file.definitions.items() if FACTORY_NAME.fullmatch(n)}
        made = {n: app for n, d in named.items() if (app := self._factory(file, d))}
        called = {n for n in made for d in named.values() if d.name != n and _mentions(d, n)}
        if len(made.keys() - called) == 1:
            yield made[(made.keys() - called).pop()]

    def _factory(self, file: _File, definition: Function) -> WebApp | None:
        """The function as a factory, if it can be called without arguments and makes something."""
        if required_parameters(definition):
            return None
        kind = self._returned(file, definition, _MAX_STEPS)
        is_async = isinstance(definition, ast.AsyncFunctionDef)
        if kind is None or (is_async and kind != "aiohttp"):
            return None
        return WebApp(kind, definition.name, factory=True, is_async=is_async)

    def _outer(self, file: _File, name: str) -> WebApp | None:
        """The factory that calls the one called `name`; of several, that for production."""
        callers = (
            found
            for other, (definition, *_) in file.definitions.items()
            if other != name
            and _OUTER.search(other)
            and _mentions(definition, name)
            and (found := self._factory(file, definition))
        )
        made = [*callers]
        best = [each for each in made if "prod" in each.name] or made
        return best[0] if len(best) == 1 else None

    def _origin(self, file: _File, name: str) -> tuple[str, str] | None:
        """The file and the name there that an imported name stands for."""
        dotted = file.origins.dotted(ast.Name(name, ast.Load()))
        if not dotted.startswith(OWN_FILE):
            return None
        relative, rest = self.own.located(dotted, file.relative)
        return (relative, rest[0]) if len(rest) == 1 else None

    def _named(self, relative: str, name: str, steps: int) -> Kind | None:
        """What the module-level `name` of a file is."""
        file = self._file(relative)
        if file is None or steps <= 0:
            return None
        if (value := file.bound.get(name)) is not None:
            return self._kind(file, value, {}, steps - 1)
        origin = self._origin(file, name) if name in file.imports else None
        return self._named(*origin, steps - 1) if origin else None

    def _kind(
        self, file: _File, node: ast.expr, scope: dict[str, ast.expr], steps: int
    ) -> Kind | None:
        """What an expression is, in a function that binds `scope`."""
        if isinstance(node, ast.Call):
            return self._call(file, node, scope, steps)
        if isinstance(node, ast.Attribute):
            return self._attribute(file, node, steps)
        if steps <= 0 or not isinstance(node, ast.Name):
            return None
        if node.id not in scope:
            return self._named(file.relative, node.id, steps - 1)
        others = {name: value for name, value in scope.items() if name != node.id}
        return self._kind(file, scope[node.id], others, steps - 1)

    def _attribute(self, file: _File, node: ast.Attribute, steps: int) -> Kind | None:
        dotted = file.origins.dotted(node)
        if not dotted.startswith(OWN_FILE):
            return class_kind(dotted)
        relative, rest = self.own.located(dotted, file.relative)
        other = self._file(relative)
        if other and len(rest) == 2:  # ``app.server`` of an object that another file makes
            made = ast.Attribute(ast.Name(rest[0], ast.Load()), rest[1], ast.Load())
            return class_kind(other.origins.dotted(made))
        return self._named(relative, node.attr, steps - 1) if rest == [node.attr] else None

    def _call(
        self, file: _File, node: ast.Call, scope: dict[str, ast.expr], steps: int
    ) -> Kind | None:
        if kind := made_kind(node, file.origins):
            return kind
        name = last_name(node)
        dotted = file.origins.dotted(node.func)
        if dotted.startswith(OWN_FILE):
            relative, rest = self.own.located(dotted, file.relative)
            return self._called(relative, rest[-1], steps - 1) if rest else None
        if dotted.startswith(OWN) and name:
            return self._called(file.relative, name, steps - 1)
        if name.endswith(_WRAPPERS) and node.args:
            return self._kind(file, node.args[0], scope, steps - 1)
        return None

    def _called(self, relative: str, name: str, steps: int) -> Kind | None:
        """What calling a function, method or class of a file gives."""
        file = self._file(relative)
        if file is None or steps <= 0:
            return None
        if definition := file.classes.get(name):
            bases = (file.origins.dotted(base) for base in definition.bases)
            return next((kind for base in bases if (kind := class_kind(f"{base}()"))), None)
        for function in file.definitions.get(name, ()):
            if kind := self._returned(file, function, steps - 1):
                return kind
        origin = self._origin(file, name) if name in file.imports else None
        return self._called(*origin, steps - 1) if origin else None

    def _returned(self, file: _File, function: Function, steps: int) -> Kind | None:
        """By its annotation, else by what it returns."""
        if function.returns is not None:
            said = file.origins.dotted(function.returns)
            if kind := class_kind(f"{said}()"):
                return kind
        statements = list(module_level(function.body))
        scope = _bound(statements)
        values = [s.value for s in statements if isinstance(s, ast.Return) and s.value is not None]
        kinds = (self._kind(file, value, scope, steps - 1) for value in values)
        return next((kind for kind in kinds if kind), None)

    def _file(self, relative: str) -> _File | None:
        if relative not in self._files:
            self._files[relative] = self._read(relative) if relative else None
        return self._files[relative]

    def _read(self, relative: str) -> _File | None:
        parsed = self.own.parsed(relative)
        if parsed is None:
            return None
        statements = list(module_level(parsed.tree.body, imported=True))
        imports = [s for s in statements if isinstance(s, ast.Import | ast.ImportFrom)]
        found = _File(
            relative,
            parsed.origins,
            _bound(statements),
            {a.asname or a.name.split(".")[0] for s in imports for a in s.names},
            {},
            {s.name: s for s in statements if isinstance(s, ast.ClassDef)},
        )
        for node in parsed.nodes:
            if isinstance(node, Function):
                found.definitions.setdefault(node.name, []).append(node)
        return found


def _bound(statements: list[ast.stmt]) -> dict[str, ast.expr]:
    """What the statements bind, each name to its last value; one that wraps the name itself does
    not count."""
    found: dict[str, ast.expr] = {}
    for statement in statements:
        targets, value = _assignment(statement)
        for name in target_names(targets):
            if value is not None and not (name in found and _mentions(value, name)):
                found[name] = value
    return found


def _assignment(statement: ast.stmt) -> tuple[list[ast.expr], ast.expr | None]:
    match statement:
        case ast.Assign(targets=targets, value=value):
            return targets, value
        case ast.AnnAssign(target=target, value=value):
            return [target], value
        case ast.With(items=items):
            named = [item for item in items if item.optional_vars is not None]
            if len(named) == 1 and named[0].optional_vars is not None:
                return [named[0].optional_vars], named[0].context_expr
    return [], None


def _mentions(value: ast.AST, name: str) -> bool:
    return any(isinstance(node, ast.Name) and node.id == name for node in walk(value))
