"""Application factories that cannot be called without arguments: which, and what to write for one;
and the call of one that a person wrote."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from iac_wrapper.program.detection.origins import OWN_FILE
from iac_wrapper.program.detection.own_files import ParsedFile, module_name
from iac_wrapper.program.detection.project import Project
from iac_wrapper.program.detection.syntax import Function, required_parameters, walk
from iac_wrapper.program.detection.web_objects import FACTORIES, FRAMEWORKS, WebApp
from iac_wrapper.program.detection.web_server import servers_for

_WORDS = re.compile("|".join(FACTORIES).encode())

_PREFERRED = ("production", "prod", "default")
"""Names of a configuration for a service, best first."""

_LITERALS = ("str", "int", "float", "bool")
"""Annotations of parameters whose values can be written in a call for gunicorn."""


@dataclass(frozen=True)
class Factory:
    """A function of the file `relative` that makes an application, and cannot be called as it is.

    `written` is it with its parameters, ``create_app(config_name)``; `call` with values for those
    that it insists on, ``create_app('production')``, where ``…`` stands for one that is not known;
    `required` are their names, and `values` what the first can be, by a table of the repository.
    `can_be_called`: by the server that would serve it, as `call` says.
    """

    relative: str
    name: str
    written: str
    call: str
    required: tuple[str, ...]
    values: tuple[str, ...]
    can_be_called: bool
    is_asgi: bool

    @property
    def advice(self) -> str:
        """What to write, as a next step."""
        module = module_name(self.relative)
        own = two_lines(module, self.name, self.call, is_asgi=self.is_asgi)
        if not self.can_be_called:
            return own
        return f"write `entrypoint: {module}:{self.call}` in its entry; or {own}"


def two_lines(module: str, name: str, call: str, *, is_asgi: bool) -> str:
    """The advice to make the application in a file, where any server finds it."""
    file = "asgi.py" if is_asgi else "wsgi.py"
    return (
        f"commit a file {file} of two lines at the root, `from {module} import {name}` and"
        f" `app = {call}`"
    )


def factory_with_arguments(project: Project) -> Factory | None:
    """The one nearest to the root; None: there is none, or it is not what the checkout is for."""
    if not project.is_python:
        return None
    files = sorted(project.files_with(_WORDS), key=lambda name: (name.count("/"), name))
    return next((found for name in files for found in _factories(project, name)), None)


def _factories(project: Project, relative: str) -> Iterator[Factory]:
    parsed = project.own.parsed(relative)
    if parsed is None:
        return
    functions = {node.name: node for node in parsed.tree.body if isinstance(node, Function)}
    for name in FACTORIES:
        function = functions.get(name)
        if function and required_parameters(function):
            kind = project.made(relative, name)
            if kind or parsed.origins.packages() & {*FRAMEWORKS}:
                app = WebApp(kind or "unknown", name, factory=True, arguments="…")
                is_called = bool(servers_for(app, project.declared))
                yield _factory(project, relative, parsed, function, is_called)


def _factory(
    project: Project, relative: str, parsed: ParsedFile, function: Function, is_called: bool
) -> Factory:
    required = required_parameters(function)
    first, *_ = required
    values = _values(project, relative, parsed, function, first.arg)
    best = next((v for v in (*_PREFERRED, *values) if v in values), "")
    keywords = {arg.arg for arg in function.args.kwonlyargs}
    words = []
    for at, parameter in enumerate(required):
        value = repr(best) if best and not at else "…"
        words.append(f"{parameter.arg}={value}" if parameter.arg in keywords else value)
    names = tuple(parameter.arg for parameter in required)
    return Factory(
        relative,
        function.name,
        f"{function.name}({', '.join(names)})",
        f"{function.name}({', '.join(words)})",
        names,
        values,
        can_be_called=is_called and all(map(_is_literal, required)),
        is_asgi=not is_called,
    )


def _is_literal(parameter: ast.arg) -> bool:
    said = parameter.annotation
    return said is None or any(
        isinstance(node, ast.Name) and node.id in _LITERALS for node in walk(said)
    )


def _values(
    project: Project, relative: str, parsed: ParsedFile, function: Function, parameter: str
) -> tuple[str, ...]:
    """The keys of the dictionary that the parameter is looked up in."""
    for node in walk(function):
        match node:
            case ast.Subscript(value=looked_up, slice=ast.Name(id=name)):
                pass
            case ast.Call(
                func=ast.Attribute(value=looked_up, attr="get"), args=[ast.Name(id=name), *_]
            ):
                pass
            case _:
                continue
        if name == parameter and (keys := _keys(project, relative, parsed, looked_up)):
            return keys
    return ()


def _keys(project: Project, relative: str, parsed: ParsedFile, node: ast.expr) -> tuple[str, ...]:
    """Those of the dictionary that `node` is the name of, in this file or in the one it is from."""
    dotted = parsed.origins.dotted(node)
    name = node.id if isinstance(node, ast.Name) else ""
    if dotted.startswith(OWN_FILE):
        file, rest = project.own.located(dotted, relative)
        other = project.own.parsed(file)
        if other is None or len(rest) != 1:
            return ()
        parsed, name = other, rest[0]
    value = parsed.origins.value(name)
    if not isinstance(value, ast.Dict):
        return ()
    keys = (key.value for key in value.keys if isinstance(key, ast.Constant))
    return tuple(key for key in keys if isinstance(key, str))


@dataclass(frozen=True)
class FactoryCall:
    """``shop.web:create_app('production')``: `where` is a module or a file, `arguments` are as they
    are written."""

    where: str
    name: str
    arguments: str


def factory_call(text: str) -> FactoryCall | None:
    """`text` as a call of a function by plain values, which is all that gunicorn takes; None if it
    is none."""
    where, _, called = text.partition(":")
    try:
        call = ast.parse(called.strip(), mode="eval").body
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)):
            return None
        for value in (*call.args, *(keyword.value for keyword in call.keywords)):
            ast.literal_eval(value)
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return None
    if any(keyword.arg is None for keyword in call.keywords) or not re.fullmatch(
        r"[\w./-]+", where
    ):
        return None
    arguments = called.strip().removeprefix(call.func.id).strip()[1:-1]
    return FactoryCall(where, call.func.id, arguments.strip())
