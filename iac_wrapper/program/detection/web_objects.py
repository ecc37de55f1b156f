"""Web application objects of one Python file: what a WSGI or ASGI server could be pointed at."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from iac_wrapper.program.detection.origins import Origins
from iac_wrapper.program.detection.syntax import (
    Definition,
    Function,
    last_name,
    required_parameters,
)

Kind = Literal["flask", "wsgi", "asgi", "aiohttp", "sanic", "unknown"]
"""What a server must speak to it; aiohttp and Sanic objects need one of their own."""

_APPS: dict[str, Kind] = {
    "Flask": "flask",
    "APIFlask": "flask",
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
    "WsgiToAsgi": "asgi",
    "FastHTML": "asgi",
    "fast_app": "asgi",
    "Sanic": "sanic",
}
"""Calls that make a web application object, and the interface that object speaks."""

_DOTTED: dict[str, Kind] = {
    "falcon.App()": "wsgi",
    "falcon.API()": "wsgi",
    "falcon.asgi.App()": "asgi",
    "blacksheep.Application()": "asgi",
    "aiohttp.web.Application()": "aiohttp",
    "dash.Dash().server": "wsgi",
}
"""The same for names that alone say nothing."""

_DOTTED_WORDS = ("falcon", "blacksheep", "Dash", "aiohttp")

_SIGNATURES: dict[tuple[str, ...], Kind] = {
    ("environ", "start_response"): "wsgi",
    ("scope", "receive", "send"): "asgi",
}
"""Arguments that the two specifications give to an application: a function with them is one."""

_FACTORIES = ("create_app", "make_app")
"""Names by which `flask run` itself finds an application factory."""

FACTORIES = (
    *_FACTORIES,
    *("get_app", "build_app", "init_app", "app_factory", "create_application", "make_application"),
    *("get_application", "build_application", "application_factory"),
)
"""Names of a function that is a factory if an application is certainly what it returns."""

FACTORY_NAME = re.compile(
    r"(?!.*(?:test|dev|debug|local|mock|fake))(?:create|make|build|get|init|new)_\w*"
    r"(?:app|application|api|server)(?:_\w+)?"
)
"""The same for names that nobody agreed on, such as ``make_whole_app``: one of a file alone."""

_FLASK = {"flask", "flask_restful", "apiflask"}
_ASGI = {"fastapi", "starlette", "quart", "litestar"}

FRAMEWORKS = (
    *("aiohttp", "blacksheep", "bottle", "connexion", "dash", "django", "falcon", "fastapi"),
    *("fasthtml", "flask", "litestar", "quart", "sanic", "starlette"),
)
"""What the objects are made of, as requirements name it."""

IMPORTERS = ("app", "application", "asgi", "index", "main", "run", "serve", "server", "web", "wsgi")
"""Files that import an application to have it served; others import it to use it."""

WORDS = re.compile(
    rb"\n(?:app|application|api)\b[^=\n]*=|"
    + "|".join((*_APPS, *_DOTTED_WORDS, *FACTORIES, "start_response", "receive")).encode()
)
"""One of these is in every file that has an object, unless it has one of `NAMES`. None of them is
tried everywhere in a text, as ``^`` would be."""

NAMES = re.compile(rb"(^|/)(" + "|".join(IMPORTERS).encode() + rb")\.py$")
"""Paths of files that are looked into whatever is in them."""

WELL_KNOWN = ("app", "application", "api", "asgi_app", "wsgi_app")
"""Names that servers' documentation gives to the object."""

DASH_SERVER = "server"
"""The same of Dash: another file than the one that makes it may give it its layout."""


@dataclass(frozen=True)
class WebApp:
    """An application object (or, with `factory`, a function that makes one) at module level.

    `is_async`: the factory is a coroutine; `imported` is the file and the name there that an
    object was imported from; `arguments` are those of a factory, as Python writes them.
    """

    kind: Kind
    name: str
    factory: bool = False
    is_async: bool = False
    imported: tuple[str, str] | None = None
    arguments: str = ""


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
            kind = made_kind(value, origins)
            if kind is None and last_name(value) in _FACTORIES:
                kind = _speaks(origins) or "unknown"
        if kind:
            yield WebApp(kind, name)


def _functions(definitions: Mapping[str, Definition]) -> Iterator[WebApp]:
    for name, definition in definitions.items():
        if isinstance(definition, Function):
            kind = _SIGNATURES.get(tuple(a.arg for a in definition.args.args))
            if kind:
                yield WebApp(kind, name)


def made_kind(call: ast.Call, origins: Origins) -> Kind | None:
    """What a call makes, also of a class of its file that derives from a framework's."""
    dotted = origins.dotted(call)
    return _DOTTED.get(dotted) or _APPS.get(last_name(call)) or class_kind(dotted)


def class_kind(dotted: str) -> Kind | None:
    """The same by the dotted name of the call: ``fastapi.FastAPI()``."""
    if not dotted.endswith("()"):
        return _DOTTED.get(dotted)
    return _DOTTED.get(dotted) or _APPS.get(dotted.removesuffix("()").rpartition(".")[2])


def _factories(origins: Origins, definitions: Mapping[str, Definition]) -> Iterator[WebApp]:
    for name in _FACTORIES:
        definition = definitions.get(name)
        callable_as_is = isinstance(definition, Function) and not required_parameters(definition)
        if callable_as_is and (kind := _speaks(origins)):
            yield WebApp(kind, name, factory=True)
            return


def _speaks(origins: Origins) -> Kind | None:
    packages = origins.packages()
    if packages & _FLASK:
        return "flask"
    return "asgi" if packages & _ASGI else None
