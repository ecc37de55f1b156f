"""`iac admin serve`: the API on its listeners until a signal; running deployments go on."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType

from admin.app import create_app
from admin.backend import Backend
from admin.grpc_server import GrpcServer
from admin.wsgi.server import HttpServer
from iac_wrapper.files.layout import Layout
from iac_wrapper.settings import Settings
from iac_wrapper.settings.admin_socket import default_socket

STOP_SECONDS = 5.0
"""How long requests in flight may take once the server stops; streams end at once."""

Say = Callable[[str], None]


def serve(layout: Layout, settings: Settings, say: Say) -> None:
    """Serve until SIGTERM or SIGINT; `say` gets lines for people.

    Raises:
        ConfigError: a setting is wrong, or an address is taken.
        BusyError: a server already works on this project folder.
    """
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # many followers share one pool
    stop = _stop_on_signals()
    backend = Backend.open(layout, settings)
    server = HttpServer(
        create_app(backend), bind=settings.admin_bind, socket=default_socket(settings)
    )
    calls = GrpcServer(backend, settings.admin_grpc) if settings.admin_grpc else None
    try:
        backend.jobs.claim()  # first: who else is here is a better answer than a port in use
        server.start()
        if calls:
            calls.start()
        for job in backend.start():
            say(
                f"warning: {job.request.kind} {job.id} was interrupted; "
                f"POST /deployments/{job.id}/resume does it again"
            )
        _announce(server, calls, settings, say)
        stop.wait()
    finally:
        going_on = backend.close()
        if calls:
            calls.stop(STOP_SECONDS)
        ended = server.stop(STOP_SECONDS)
    for job in going_on:
        say(
            f"{job.request.kind} {job.id} goes on in a process of its own; "
            "the next `iac admin serve` takes it up"
        )
    if not ended:  # Python would wait for a handler that does not return
        sys.stdout.flush()
        os._exit(0)


def _stop_on_signals() -> threading.Event:
    stop = threading.Event()

    def handle(_number: int, _frame: FrameType | None) -> None:
        if stop.is_set():  # a second one: at once
            raise KeyboardInterrupt
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handle)
    return stop


def _announce(server: HttpServer, calls: GrpcServer | None, settings: Settings, say: Say) -> None:
    if server.address:
        say(f"==> HTTP    http://{_authority(*server.address)}")
    say(f"==> socket  {server.socket}")
    if calls and settings.admin_grpc:
        host, _ = settings.admin_grpc
        say(f"==> gRPC    {_authority(host, calls.port)} (mTLS)")
    needed = ("SUPABASE_URL", "SUPABASE_SERVICE_ROLE_KEY")
    missing = " and ".join(name for name in needed if not settings.written(name))
    if missing:
        text = "over HTTP only what needs no token works; the socket does"
        say(f"warning: {missing} not set: {text}")
    elif not settings.admin_users:
        say("IAC_ADMIN_USERS is empty: over HTTP only the service role key may act")


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
