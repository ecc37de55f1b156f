"""How to serve a web application object that its own file does not serve.

Only servers the project itself asks for: nothing is added to its environment.
"""

from __future__ import annotations

from iac_wrapper.program.detection.web_objects import WebApp

_HOST = "127.0.0.1"
"""Only the sidecar calls the app, and it shares the app's network namespace."""

ASGI_SERVERS = ("uvicorn", "hypercorn", "granian", "daphne")
WSGI_SERVERS = ("gunicorn", "waitress", "granian")

_BRING_UVICORN = {"fastapi[standard]", "fastapi[all]"}
_ASGI_FRAMEWORKS = {"fastapi", "starlette", "quart", "litestar"}


def servers_for(app: WebApp, declared: frozenset[str]) -> tuple[str, ...]:
    """Modules that can serve `app`, best first; `declared` tells of an object that does not."""
    kind = app.kind
    if kind == "unknown":
        kind = "asgi" if declared & _ASGI_FRAMEWORKS and "flask" not in declared else "wsgi"
    return ASGI_SERVERS if kind == "asgi" else WSGI_SERVERS


def declared_server(app: WebApp, declared: frozenset[str]) -> str | None:
    """The module that will serve `app`, None if the project asks for none.

    Args:
        app: the application object.
        declared: canonical names of the packages the project asks for.
    """
    for server in servers_for(app, declared):
        if server in declared or (server == "uvicorn" and declared & _BRING_UVICORN):
            return server
    return None


def choose_server(app: WebApp, declared: frozenset[str]) -> str | None:
    """As `declared_server`; for a Flask object also the server that Flask brings."""
    is_flask = app.kind == "flask" or (app.kind == "unknown" and "flask" in declared)
    return declared_server(app, declared) or ("flask" if is_flask else None)


def server_arguments(server: str, app: WebApp, module: str) -> tuple[str, ...]:
    """The arguments of ``python -m server``; ``$PORT`` stands for the app's port."""
    name = f"{module}:{app.name}"
    call = f"{name}()" if app.factory else name
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
    if server == "flask":
        return ("--app", name, "run", "--host", _HOST, "--port", "$PORT")
    return (call, "--bind", f"{_HOST}:$PORT")
