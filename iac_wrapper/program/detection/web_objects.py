"""Web application objects of one Python file: what a WSGI or ASGI server could be pointed at."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from iac_wrapper.program.detection.origins import Origins
from iac_wrapper.program.detection.syntax import Definition, Function, last_name, required_arguments

Kind = Literal["flask", "wsgi", "asgi", "unknown"]

_APPS: dict[str, Kind] = {
    "Flask": "flask",
    "get_wsgi_application": "wsgi",
    "make_wsgi_app": "wsgi",
    "default_app": "wsgi",
    "Bottle": "wsgi",
    "WSGIApp": "wsgi",
    "FastAPI": "asgi",
    "Starlette": "asgi",
    "Quart": "asgi",
    "Litestar": "asgi",
    "get_asgi_application": "asgi",
    "ProtocolTypeRouter": "asgi",
    "ASGIApp": "asgi",
}
"""Calls that make a web application object, and the interface that object speaks."""

_DOTTED: dict[str, Kind] = {
    "falcon.App()": "wsgi",
    "falcon.API()": "wsgi",
    "falcon.asgi.App()": "asgi",
    "blacksheep.Application()": "asgi",
    "dash.Dash().server": "wsgi",
}
"""The same for names that alone say nothing."""

_DOTTED_WORDS = ("falcon", "blacksheep", "Dash")

_SIGNATURES: dict[tuple[str, ...], Kind] = {
    ("environ", "start_response"): "wsgi",
    ("scope", "receive", "send"): "asgi",
}
"""Arguments that the two specifications give to an application: a function with them is one."""

_FACTORIES = ("create_app", "make_app")
"""Names by which `flask run` itself finds an application factory."""

_FLASK = {"flask", "flask_restful", "apiflask"}
_ASGI = {"fastapi", "starlette", "quart", "litestar"}

WORDS = re.compile(
    rb"(^|/)[aw]sgi\.py$|"
    + "|".join((*_APPS, *_DOTTED_WORDS, *_FACTORIES, "start_response", "receive")).encode()
)
"""One of these is in every file that has an object, or in its name."""

WELL_KNOWN = ("app", "application", "api", "asgi_app", "wsgi_app")
"""Names that servers' documentation gives to the object."""


@dataclass(frozen=True)
class WebApp:
    """An application object (or, with `factory`, a function that makes one) at module level."""

    kind: Kind
    name: str
    factory: bool = False


def web_objects(
    origins: Origins,
    *,
    assigned: Mapping[str, ast.expr | None],
    imported: Mapping[str, str],
    definitions: Mapping[str, Definition],
    stem: str,
) -> tuple[WebApp, ...]:
    """The objects to serve, more than one only if none has the name that people expect.

    Args:
        origins: where its names come from.
        assigned, imported, definitions: what its module level binds.
        stem: the file's name; in ``wsgi.py`` and ``asgi.py`` the expected name is the object.
    """
    found = [*_assigned(assigned, origins), *_functions(definitions)]
    if stem in ("wsgi", "asgi") and not found:
        bound = [name for name in WELL_KNOWN if name in assigned or name in imported]
        found = [WebApp("wsgi" if stem == "wsgi" else "asgi", name) for name in bound[:1]]
    expected = [app for name in WELL_KNOWN for app in found if app.name == name]
    found = expected[:1] or found
    return tuple(found or _factories(origins, definitions))


def _assigned(assigned: Mapping[str, ast.expr | None], origins: Origins) -> Iterator[WebApp]:
    for name, value in assigned.items():
        if value is None:
            continue
        kind = _DOTTED.get(origins.dotted(value))
        if kind is None and isinstance(value, ast.Call):
            made_by = last_name(value)
            kind = _APPS.get(made_by) or _APPS.get(_class(value, origins))
            if kind is None and made_by in _FACTORIES:
                kind = _speaks(origins) or "unknown"
        if kind:
            yield WebApp(kind, name)


def _functions(definitions: Mapping[str, Definition]) -> Iterator[WebApp]:
    for name, definition in definitions.items():
        if isinstance(definition, Function):
            kind = _SIGNATURES.get(tuple(a.arg for a in definition.args.args))
            if kind:
                yield WebApp(kind, name)


def _class(value: ast.Call, origins: Origins) -> str:
    """``FastAPI`` for a call of a class of this file that derives from it."""
    return origins.dotted(value).removesuffix("()").rpartition(".")[2]


def _factories(origins: Origins, definitions: Mapping[str, Definition]) -> Iterator[WebApp]:
    for name in _FACTORIES:
        definition = definitions.get(name)
        callable_as_is = isinstance(definition, Function) and not required_arguments(definition)
        if callable_as_is and (kind := _speaks(origins)):
            yield WebApp(kind, name, factory=True)
            return


def _speaks(origins: Origins) -> Kind | None:
    packages = origins.packages()
    if packages & _FLASK:
        return "flask"
    return "asgi" if packages & _ASGI else None
