"""How to serve a web application object that its own file does not serve.

Only servers the project itself asks for: nothing is added to its environment.
"""

from __future__ import annotations

from iac_wrapper.detection.python_source import WebApp

_HOST = "127.0.0.1"
"""Only the sidecar calls the app, and it shares the app's network namespace."""

_BRING_UVICORN = {"fastapi[standard]", "fastapi[all]"}


def servers_for(app: WebApp) -> tuple[str, ...]:
    """Modules that can serve `app`, best first."""
    return ("uvicorn", "hypercorn") if app.kind == "asgi" else ("gunicorn", "waitress")


def choose_server(app: WebApp, declared: frozenset[str]) -> str | None:
    """The module that will serve `app`, None if the project asks for none.

    Args:
        app: the application object.
        declared: canonical names of the packages the project asks for.
    """
    for server in servers_for(app):
        if server in declared or (server == "uvicorn" and declared & _BRING_UVICORN):
            return server
    return "flask" if app.kind == "flask" else None  # its file imports flask, so flask is there


def server_arguments(server: str, app: WebApp, module: str) -> tuple[str, ...]:
    """The arguments of ``python -m server``; ``$PORT`` stands for the app's port."""
    name = f"{module}:{app.name}"
    call = f"{name}()" if app.factory else name
    if server == "uvicorn":
        factory = ("--factory",) if app.factory else ()
        return (name, *factory, "--host", _HOST, "--port", "$PORT")
    if server == "waitress":
        factory = ("--call",) if app.factory else ()
        return (*factory, f"--listen={_HOST}:$PORT", name)
    if server == "flask":
        return ("--app", name, "run", "--host", _HOST, "--port", "$PORT")
    return (call, "--bind", f"{_HOST}:$PORT")
