"""Libraries that accept connections, or work without any, by the dotted names of what is called.

The names are those of `origins`: ``flask.Flask().run``.
"""

from __future__ import annotations

import ast
import re
import sys
from functools import lru_cache

_SERVING = r"""
apiflask bentoml bjoern bokeh bottle cheroot cherrypy connexion daphne dash emmett eve fasthtml
flask flask_openapi3 flask_socketio gradio granian gunicorn hypercorn justpy klein litserve
livereload meinheld mesop nicegui panel pywebio quart quart_trio remi robyn sanic shiny
simple_websocket_server socketify solara spyne streamlit\.(web|cli|bootstrap) taipy uvicorn waitress
web websocket_server websockets
"""
"""Packages that are there to serve: whatever of theirs is run or started accepts connections."""

_STARTS = """
launch listen main main_run quickstart run run_app run_async run_server run_task serve
single_process start start_server
"""

_SERVERS = re.compile(
    rf"""
    ({"|".join(_SERVING.split())})\.(.*\.)?({"|".join(_STARTS.split())})
    |.*\.(serve_forever|run_simple|run_webhook)
    |streamlit\.(web\.)?(cli|bootstrap)\.(main|run|_?main_run\w*)
    |aiohttp\.web\.(run_app|_run_app)|aiohttp\..*(TCPSite|SockSite)\(\)\.start
    |grpc\.(aio\.)?server\(\)\.(start|wait_for_termination)
    |tornado\..*\.(listen|bind)|gevent\..*Server\(\)\.start
    |asyncio\.start_server|asyncio\.(\w+\(\)\.)create_server
    |socket\.(socket|create_server)\(\)\.(listen|accept)
    |(aiosmtpd|asyncua|grpclib|Pyro[45]|rpyc|thriftpy2|zerorpc)
     \..*(Controller|Daemon|Server|make_server)\(\)\.(requestLoop|run|serve|start)
    |(eventlet\.wsgi\.server|http\.server\.test)
    |twisted\..*reactor\.listen(TCP|SSL)|thrift\..*\.serve
    """,
    re.X,
)

_TOLD_HOW = re.compile(r"(fast)?mcp\..*\.run(_async)?")
"""Calls that serve if they name a transport over HTTP, and else speak to a pipe."""

_TRANSPORTS = {"http", "sse", "streamable-http", "streamable_http"}

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


_STARTERS = re.compile(
    r"""
    subprocess\.(run|Popen|call|check_call|check_output|getoutput|getstatusoutput)
    |os\.(system|popen|exec\w+|spawn\w+|posix_spawnp?)|pty\.spawn|pexpect\.(spawn|run)
    |asyncio\.(\w+\.)?create_subprocess_(exec|shell)|(anyio|trio)\.(run|open)_process
    |runpy\.run_module|django\.core\.management\.(execute_from_command_line|call_command)
    """,
    re.X,
)
"""Calls whose words are a command."""

ALONE = {"schedule"} | (
    set(sys.stdlib_module_names)
    - {"asyncio", "asyncore", "http", "multiprocessing", "selectors", "socket", "socketserver"}
    - {"runpy", "subprocess", "threading", "wsgiref", "xmlrpc", "concurrent", "importlib", "ctypes"}
)
"""Packages none of which can accept a connection, so that an endless loop is all there is."""

COMMAND_LINES = {"click", "typer", "asyncclick", "cyclopts"}
"""Packages whose objects call the functions that are registered with them."""


@lru_cache(maxsize=8192)
def serves(dotted: str) -> bool:
    """Whether what has this name accepts connections when it is called."""
    return bool(_SERVERS.fullmatch(dotted))


def serves_if_told(dotted: str, transport: ast.expr | None) -> bool:
    """The same for a call that names this transport."""
    return (
        isinstance(transport, ast.Constant)
        and transport.value in _TRANSPORTS
        and bool(_TOLD_HOW.fullmatch(dotted))
    )


@lru_cache(maxsize=8192)
def works(dotted: str) -> bool:
    """Whether what has this name works until the end of the program, when it is called."""
    return bool(_WORKERS.fullmatch(dotted))


@lru_cache(maxsize=8192)
def starts_a_process(dotted: str) -> bool:
    """Whether the arguments of what has this name are a command."""
    return bool(_STARTERS.fullmatch(dotted))
