"""How to serve a web application object that its own file does not serve.

By a server that the project asks for. Where it asks for none, by one that the runtime image brings
at the end of the program's path: nothing is added to the project's environment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from iac_wrapper.program.detection.web_objects import WebApp

_HOST = "127.0.0.1"
"""Only the sidecar calls the app, and it shares the app's network namespace."""

ASGI_SERVERS = ("uvicorn", "hypercorn", "granian", "daphne")
WSGI_SERVERS = ("gunicorn", "waitress", "granian")
SERVERS = frozenset({*ASGI_SERVERS, *WSGI_SERVERS})

_BROUGHT: Mapping[str, tuple[str, ...]] = {
    "uvicorn": ("fastapi[standard]", "fastapi[all]", "litestar[standard]", "python-fasthtml"),
    "sanic": ("sanic",),
}
"""Packages that bring a server with them."""

_ASGI_FRAMEWORKS = {"fastapi", "starlette", "quart", "litestar"}


@dataclass(frozen=True)
class Server:
    """A module that serves; `is_supplied`: by the runtime image."""

    module: str
    is_supplied: bool = False


def servers_for(app: WebApp, declared: frozenset[str]) -> tuple[str, ...]:
    """Modules that can serve `app`, best first; `declared` tells of an object that does not.

    Only gunicorn calls a factory with arguments.
    """
    servers = _servers_for(app, declared)
    return tuple(s for s in servers if s == "gunicorn" or not app.arguments)


def _servers_for(app: WebApp, declared: frozenset[str]) -> tuple[str, ...]:
    kind = app.kind
    if kind == "unknown":
        kind = "asgi" if declared & _ASGI_FRAMEWORKS and "flask" not in declared else "wsgi"
    if kind == "sanic":
        return ("sanic", *ASGI_SERVERS)
    if kind == "aiohttp":
        return ("gunicorn",)
    return ASGI_SERVERS if kind == "asgi" else WSGI_SERVERS


def declared_server(app: WebApp, declared: frozenset[str]) -> str | None:
    """The module that will serve `app`, None if the project asks for none.

    Args:
        app: the application object.
        declared: canonical names of the packages the project asks for.
    """
    return next((each for each in servers_for(app, declared) if is_declared(each, declared)), None)


def is_declared(server: str, declared: frozenset[str]) -> bool:
    """Whether the project asks for the module `server`, or for a package that brings it."""
    return server in declared or bool(declared & set(_BROUGHT.get(server, ())))


def choose_server(app: WebApp, declared: frozenset[str]) -> Server:
    """As `declared_server`, else the one that is supplied: gunicorn, or uvicorn for ASGI."""
    if server := declared_server(app, declared):
        return Server(server)
    is_asgi = "uvicorn" in servers_for(app, declared)
    return Server("uvicorn" if is_asgi else "gunicorn", is_supplied=True)


def server_arguments(server: str, app: WebApp, module: str) -> tuple[str, ...]:
    """The arguments of ``python -m server``; ``$PORT`` stands for the app's port."""
    name = f"{module}:{app.name}"
    call = f"{name}({app.arguments})" if app.factory and not app.is_async else name
    factory = ("--factory",) if app.factory else ()
    if server == "uvicorn":
        return (name, *factory, "--host", _HOST, "--port", "$PORT")
    if server == "granian":
        interface = "asgi" if app.kind == "asgi" else "wsgi"
        return (
            *(name, *factory, "--interface", interface),
            *("--host", _HOST, "--port", "$PORT"),
        )
    if server == "daphne":
        return (name, "--bind", _HOST, "--port", "$PORT")
    if server == "waitress":
        call_it = ("--call",) if app.factory else ()
        return (*call_it, f"--listen={_HOST}:$PORT", name)
    if server == "sanic":
        return (name, *factory, "--host", _HOST, "--port", "$PORT", "--single-process")
    worker = ("--worker-class", "aiohttp.GunicornWebWorker") if app.kind == "aiohttp" else ()
    return (call, *worker, "--bind", f"{_HOST}:$PORT")
