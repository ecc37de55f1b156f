"""What running a Python file certainly leads to: a server, or a program that works without one.

Reads calls through the names they are made of; a call that only some branch reaches is not certain.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator

from iac_wrapper.detection.origins import OWN, Origins
from iac_wrapper.detection.syntax import is_guard, last_name
from iac_wrapper.model.options import Run

_SERVERS = re.compile(
    r"""
    .*\.(serve_forever|run_simple|run_webhook)
    |(hypercorn|waitress|websockets)\.(\w+\.)*serve
    |uvicorn\.(run|main)|uvicorn\.(\w+\.)*Server\(\)\.(run|serve)|granian\..*\.serve
    |(flask|quart|quart_trio|flask_socketio|dash|sanic|bottle|apiflask|connexion|robyn|eve|flask_openapi3)
     \.(.*\.)?(run|run_server|run_task|serve|single_process)
    |aiohttp\.web\.(run_app|_run_app)|aiohttp\..*(TCPSite|SockSite)\(\)\.start
    |grpc\.(aio\.)?server\(\)\.(start|wait_for_termination)
    |tornado\..*\.(listen|bind)
    |asyncio\.start_server|asyncio\.(\w+\(\)\.)create_server
    |socket\.(socket|create_server)\(\)\.(listen|accept)
    |(gunicorn|cherrypy|cheroot)\.(.*\.)?(run|start|quickstart)
    |(eventlet\.wsgi\.server|http\.server\.test|nicegui\.ui\.run|streamlit\.web\..*\.(run|main_run))
    |gradio\..*\.launch|twisted\..*reactor\.listen(TCP|SSL)|thrift\..*\.serve
    """,
    re.X,
)
"""Calls that accept connections, by the dotted name of what is called."""

_WORKERS = re.compile(
    r"""
    (discord|nextcord|disnake|interactions|pyrogram|twitchio|guilded|hikari)\..*\.(run|start)
    |.*\.(run_polling|start_polling|infinity_polling|run_until_disconnected|sync_forever)
    |telebot\..*\.polling|slack_bolt\..*SocketModeHandler\(\)\.start(_async)?
    |(apscheduler\..*BlockingScheduler|rq\..*Worker|huey\..*)\(\)\.(start|work|run)
    |(celery|rq)\..*\.(worker_main|work)|pika\..*\.start_consuming
    """,
    re.X,
)
"""Calls that work until the end of the program and accept no connection."""

_APP_NAMES = {"app", "application", "server", "socketio"}
_SERVER_OPTIONS = {"host", "port", "debug", "use_reloader", "ssl_context", "threaded", "sockets"}

_ALONE = {"schedule"} | (
    set(sys.stdlib_module_names)
    - {"asyncio", "asyncore", "http", "multiprocessing", "selectors", "socket", "socketserver"}
    - {"runpy", "subprocess", "threading", "wsgiref", "xmlrpc", "concurrent", "importlib", "ctypes"}
)
"""Packages none of which can accept a connection, so that an endless loop is all there is."""


class Serving:
    """Asks one file; `certain` decides whether each branch of a condition must agree."""

    def __init__(self, origins: Origins) -> None:
        self._origins = origins
        self._alone = origins.packages() <= _ALONE
        self._known: dict[tuple[str, bool], set[Run]] = {}

    def run(self, body: Iterable[ast.stmt]) -> Run | None:
        """What executing the statements certainly is; a server also when it works beside it."""
        kinds = self._block(body, certain=True)
        if "web" in kinds:
            return "web"
        return "worker" if "worker" in kinds else None

    def may_serve(self, body: Iterable[ast.stmt]) -> bool:
        """Whether some way through the statements ends in a server or a worker."""
        return bool(self._block(body, certain=False))

    def _block(self, body: Iterable[ast.stmt], *, certain: bool) -> set[Run]:
        kinds: set[Run] = set()
        for statement in body:
            kinds |= self._statement(statement, certain)
        return kinds

    def _statement(self, node: ast.stmt, certain: bool) -> set[Run]:
        def block(body: list[ast.stmt]) -> set[Run]:
            return self._block(body, certain=certain)

        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                return set()
            case ast.If(test=test, body=body) if is_guard(test):
                return block(body)
            case ast.If(test=test, body=body, orelse=orelse):
                one, other = block(body), block(orelse)
                branches = one & other if certain else one | other
                return branches | self._expression(test, certain)
            case ast.Match(cases=cases):
                return set() if certain else set().union(*(block(c.body) for c in cases))
        found: set[Run] = {"worker"} if self._endless(node) else set()
        for part in ast.iter_child_nodes(node):
            if isinstance(part, ast.stmt):
                found |= self._statement(part, certain)
            elif isinstance(part, ast.ExceptHandler):
                found |= set() if certain else block(part.body)
            else:
                found |= self._expression(part, certain)
        return found

    def _expression(self, node: ast.AST, certain: bool) -> set[Run]:
        found: set[Run] = set()
        for part in ast.walk(node):
            if isinstance(part, ast.Call) and self._runs_own_app(part):
                found.add("web")
            if isinstance(part, ast.Name | ast.Attribute):
                found |= self._reference(part, certain)
        return found

    def _reference(self, node: ast.Name | ast.Attribute, certain: bool) -> set[Run]:
        dotted = self._origins.dotted(node)
        if _SERVERS.fullmatch(dotted):
            return {"web"}
        if _WORKERS.fullmatch(dotted):
            return {"worker"}
        if isinstance(node, ast.Name):
            return self._function(node.id, certain)
        return self._function(node.attr, certain) if dotted.startswith(OWN) else set()

    def _function(self, name: str, certain: bool) -> set[Run]:
        """What the functions and methods of that name do; one that calls itself adds nothing."""
        if (name, certain) not in self._known:
            self._known[name, certain] = set()
            for body in self._origins.functions.get(name, []):
                self._known[name, certain] |= self._block(body, certain=certain)
        return self._known[name, certain]

    def _runs_own_app(self, call: ast.Call) -> bool:
        """``app.run(…)`` of an object that the repository makes in another file."""
        function = call.func
        if not (isinstance(function, ast.Attribute) and function.attr == "run"):
            return False
        if not self._origins.dotted(function).startswith(OWN):
            return False
        options = {keyword.arg for keyword in call.keywords}
        base = function.value
        name = base.id if isinstance(base, ast.Name) else getattr(base, "attr", "")
        return bool(options & _SERVER_OPTIONS) or (name in _APP_NAMES and not call.args)

    def _endless(self, node: ast.stmt) -> bool:
        """``while True`` with a sleep and no way out, in a file that has nothing to listen with."""
        if not (self._alone and isinstance(node, ast.While) and _is_true(node.test)):
            return False
        inner = [part for statement in node.body for part in ast.walk(statement)]
        sleeps = any(isinstance(n, ast.Call) and last_name(n) == "sleep" for n in inner)
        return sleeps and not any(isinstance(n, ast.Break | ast.Return) for n in inner)


def _is_true(test: ast.expr) -> bool:
    return isinstance(test, ast.Constant) and bool(test.value)


def functions_that_run(serving: Serving, body: Iterable[ast.stmt]) -> Iterator[tuple[str, Run]]:
    """Functions at module level and what calling each certainly is."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (
            kind := serving.run(node.body)
        ):
            yield node.name, kind
