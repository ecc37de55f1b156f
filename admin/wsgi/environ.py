"""A request as a WSGI application sees it (PEP 3333), and what only this server knows."""

from __future__ import annotations

import re
import socket
import sys
from typing import IO, Any
from urllib.parse import unquote_to_bytes

from aiohttp import web

from admin.wsgi.peer import PeerProcess

_OWN = {"content-length", "transfer-encoding", "expect"}
"""Headers of the connection, not of the request that the application reads."""


def environ_of(request: web.BaseRequest, body: IO[bytes]) -> dict[str, Any]:
    """The WSGI environment, with who is calling and how: ``iac.via`` and ``iac.peer``.

    Args:
        body: all of it; its position is the end.
    """
    path, _, query = request.raw_path.partition("?")
    # An encoded slash stays encoded: it is a part of a name, not a separator of names.
    parts = re.split("(?i)%2F", path)
    found: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": "%2F".join(unquote_to_bytes(part).decode("latin-1") for part in parts),
        "QUERY_STRING": query,
        "SERVER_PROTOCOL": f"HTTP/{request.version.major}.{request.version.minor}",
        "CONTENT_LENGTH": str(body.tell()),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": body,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        **_way_in(request),
    }
    body.seek(0)
    for raw_name, raw_value in request.raw_headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        if name in _OWN or "_" in name:  # x_y would pass for x-y
            continue
        key = "CONTENT_TYPE" if name == "content-type" else f"HTTP_{name.upper().replace('-', '_')}"
        found[key] = f"{found[key]}, {value}" if key in found else value
    return found


def _way_in(request: web.BaseRequest) -> dict[str, Any]:
    sock: socket.socket = request.get_extra_info("socket")
    if sock.family == socket.AF_UNIX:
        server, address = ("localhost", 0), ""
        way = {"iac.via": "socket", "iac.peer": PeerProcess.of(sock)}
    else:
        server, address = sock.getsockname()[:2], sock.getpeername()[0]
        way = {"iac.via": "http"}
    return {"SERVER_NAME": server[0], "SERVER_PORT": str(server[1]), "REMOTE_ADDR": address, **way}
