"""Reads one Python file as a syntax tree and says what running it would do. Never runs it."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field

from iac_wrapper.model.options import Run
from iac_wrapper.program.detection.frameworks import Mark, marks
from iac_wrapper.program.detection.origins import OWN
from iac_wrapper.program.detection.own_files import Fault, ParsedFile
from iac_wrapper.program.detection.serving import Serving, functions_that_run
from iac_wrapper.program.detection.syntax import (
    Definition,
    Function,
    all_mentions,
    is_action,
    is_guard,
    last_name,
    mentions,
    module_level,
    mounted_names,
    only_passes,
    only_prepares,
    preparation,
    required_parameters,
    target_names,
)
from iac_wrapper.program.detection.web_objects import (
    DASH_SERVER,
    FACTORIES,
    FACTORY_NAME,
    WELL_KNOWN,
    WebApp,
    web_objects,
)

_PARTS = {"Blueprint", "APIBlueprint", "APIRouter", "Router", "Namespace"}
"""What makes a part of an application: one that is called ``main`` is not called."""


@dataclass(frozen=True)
class PythonSource:
    """What a file does.

    `names` are bound at module level; `guard` says that there is a ``__main__`` guard, `idles`
    that it only prints, or prepares what others serve; `calls_main_missing` that a callable
    ``main`` is among the names, needs no arguments and nothing mentions it; `acts` that running the
    file does more than define things.
    `run` is what running it certainly is, `functions` the same for calling a function, `may_serve`
    that some way through it serves, `serves_on_import` that importing it does not come back.
    `may_follow` says that its web application may be made by other code of the repository.
    `marks` make it a program of frameworks with a tool; `own_imports` are the dotted names
    (`origins`) that it takes from files of the repository.
    `imports` are as `imported_modules` has them.
    `prepares` is the first thing that the guard does with its web application before it serves it.
    `fault` is a sentence with the line if the file does not parse.
    """

    names: frozenset[str] = frozenset()
    guard: bool = False
    idles: bool = False
    acts: bool = False
    defines_main: bool = False
    calls_main_missing: bool = False
    run: Run | None = None
    functions: Mapping[str, Run] = field(default_factory=dict)
    may_serve: bool = False
    serves_on_import: bool = False
    web_apps: tuple[WebApp, ...] = ()
    may_follow: bool = False
    marks: tuple[Mark, ...] = ()
    own_imports: frozenset[str] = frozenset()
    objects: frozenset[str] = frozenset()
    imports: frozenset[str] = frozenset()
    open_ended: bool = False
    prepares: str = ""
    fault: str | None = None
    fault_line: int | None = None


def read_source(file: ParsedFile | Fault) -> PythonSource:
    """What the file does; one that cannot be read gives a source with a `fault`."""
    if isinstance(file, Fault):
        return PythonSource(fault=file.text, fault_line=file.line)
    try:
        return _SourceReader(file).source()
    except RecursionError as error:
        return PythonSource(fault=str(error))


@dataclass
class _SourceReader:
    """One pass over the module level, then the questions."""

    file: ParsedFile
    definitions: dict[str, Definition] = field(default_factory=dict)
    assigned: dict[str, ast.expr | None] = field(default_factory=dict)
    imported: dict[str, str] = field(default_factory=dict)
    guards: list[ast.If] = field(default_factory=list)
    open_ended: bool = False

    def source(self) -> PythonSource:
        """Collect, then answer."""
        body = self.file.tree.body
        statements = list(module_level(body))
        for statement in module_level(body, imported=True):
            self._collect(statement)
        used = self._used()
        guards = [node for node in self.guards if not only_passes(node.body)]
        main_missing = not guards and "main" not in used and self._callable_main()
        mounted = set(mounted_names(self.file.nodes))
        serving = Serving(self.file.reader)
        imported = Serving(self.file.reader, imported=True)
        web_apps = web_objects(
            self.file.origins,
            assigned={name: v for name, v in self.assigned.items() if name not in mounted},
            imported=self.imported,
            definitions=self.definitions,
            stem=self.file.stem,
        )
        return PythonSource(
            names=frozenset({*self.definitions, *self.assigned, *self.imported}),
            guard=bool(guards),
            idles=bool(guards) and all(only_prepares(node.body) for node in guards),
            acts=bool(guards) or self._acts(statements, used),
            defines_main=isinstance(self.definitions.get("main"), Function),
            calls_main_missing=main_missing,
            run=serving.run(body),
            functions=dict(functions_that_run(serving, body)),
            may_serve=serving.may_serve(body),
            serves_on_import=imported.may_serve(body),
            web_apps=web_apps,
            may_follow=self._may_follow(),
            marks=marks(self.file.nodes, self.file.origins),
            own_imports=self.file.origins.own_imports(),
            objects=frozenset({*self.assigned, *self.imported}),
            imports=self.file.imports,
            open_ended=self.open_ended,
            prepares=preparation(guards, {app.name for app in web_apps}),
        )

    def _collect(self, statement: ast.stmt) -> None:
        match statement:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                self.definitions[statement.name] = statement
                self.open_ended |= statement.name == "__getattr__"
            case ast.Assign():
                for name in target_names(statement.targets):
                    self.assigned[name] = statement.value
            case ast.AnnAssign(target=ast.Name(id=name), value=value):
                self.assigned[name] = value
            case ast.Import() | ast.ImportFrom():
                module = getattr(statement, "module", None) or ""
                for alias in statement.names:
                    name = alias.asname or alias.name.split(".")[0]
                    self.imported[name] = module or alias.name
                    self.open_ended |= alias.name == "*"
            case ast.If() if is_guard(statement.test):
                self.guards.append(statement)

    def _may_follow(self) -> bool:
        usual = {*self.assigned, *self.imported} & {*WELL_KNOWN, DASH_SERVER}
        values = filter(None, self.assigned.values())
        own = any(self.file.origins.dotted(value).startswith(OWN) for value in values)
        named = self.definitions.keys() & set(FACTORIES)
        others = any(map(FACTORY_NAME.fullmatch, self.definitions))
        return bool(usual or named) or own or others

    def _used(self) -> set[str]:
        """Names and attributes that running the file would touch, through local functions too."""
        used: set[str] = set()
        waiting = [name for s in self.file.tree.body for name in mentions(s)]
        while waiting:
            name = waiting.pop()
            if name in used:
                continue
            used.add(name)
            if definition := self.definitions.get(name):
                waiting.extend(all_mentions(definition))
        return used

    def _acts(self, statements: list[ast.stmt], used: set[str]) -> bool:
        if any(is_action(statement) for statement in statements):
            return True
        if not self.definitions and self.imported and not self.assigned:
            return True  # a file of imports is run for what they do
        return any(isinstance(self.definitions.get(name), Function) for name in used)

    def _callable_main(self) -> bool:
        definition = self.definitions.get("main")
        if isinstance(definition, Function):
            if definition.decorator_list:
                return not any(self._registers(d) for d in definition.decorator_list)
            return not required_parameters(definition)
        if self.file.stem == "__init__":  # it is handed on
            return False
        value = self.assigned.get("main")
        if isinstance(value, ast.Call) and last_name(value) in _PARTS:
            return False
        return "main" in self.imported or isinstance(value, ast.Name | ast.Attribute | ast.Call)

    def _registers(self, decorator: ast.expr) -> bool:
        """``@app.route`` hands the function to `app`; ``@click.command`` makes it callable."""
        root = decorator
        while isinstance(root, ast.Call | ast.Attribute):
            root = root.func if isinstance(root, ast.Call) else root.value
        return isinstance(root, ast.Name) and root.id in self.assigned
