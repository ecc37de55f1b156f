"""Who gets in: Host, Origin, then a token or the socket's peer; and what their scopes allow."""

from __future__ import annotations

import ipaddress
import os
import pwd
from dataclasses import replace
from urllib.parse import urlsplit

from flask import Request
from werkzeug.sansio.utils import host_is_trusted

from admin.actor import ALL_SCOPES, Actor, Scope, Via
from admin.auth.gate import Gate
from admin.problem import Problem
from admin.wsgi.peer import PeerProcess
from iac_wrapper.settings import Settings


def check_source(request: Request, settings: Settings) -> None:
    """Refuse browsers, and over TCP every Host that is not ours: DNS rebinding and CSRF.

    Raises:
        Problem: 403 or 400.
    """
    if "Origin" in request.headers or request.headers.get("Sec-Fetch-Mode", "") == "navigate":
        raise Problem(403, "origin-refused", "requests from web pages are not served here")
    if on_socket(request):
        return
    host = request.headers.get("Host", "")
    if not _is_ours(host, settings):
        raise Problem(
            400,
            "host-refused",
            "this is not a host name of this API",
            found=host[:200] or "no Host header",
            expected="localhost, a loopback address, or a name in TRUSTED_HOSTS",
            next_step="add the name to TRUSTED_HOSTS on the server",
        )


def authenticate(request: Request, gate: Gate, settings: Settings, *, mutating: bool) -> Actor:
    """Who calls.

    Raises:
        Problem: 401, 403, 429 or 503.
    """
    if on_socket(request) and not settings.socket_requires_jwt:
        return peer_actor(request.environ["iac.peer"])
    actor = gate.authenticate(
        request.headers.get("Authorization"),
        peer=counted_as(request),
        mutating=mutating,
        via=via(request),
    )
    return replace(actor, peer=peer_of(request))


def via(request: Request) -> Via:
    """The way in."""
    return "socket" if on_socket(request) else "http"


def counted_as(request: Request) -> str:
    """Whose failures these are: an address, or a user; not a process, for a new one is cheap."""
    if on_socket(request):
        return f"uid {request.environ['iac.peer'].uid}"
    return peer_of(request)


def peer_of(request: Request) -> str:
    """Where the request comes from: an address, or ``pid 123 uid 1000``."""
    if on_socket(request):
        peer: PeerProcess = request.environ["iac.peer"]
        return f"pid {peer.pid} uid {peer.uid}"
    return request.remote_addr or ""


def peer_actor(peer: PeerProcess) -> Actor:
    """The process at the other end of the socket; the file's mode has let it in."""
    try:
        name = pwd.getpwuid(peer.uid).pw_name
    except KeyError:
        name = ""
    return Actor(
        "peer",
        f"uid:{peer.uid}",
        name,
        ALL_SCOPES,
        via="socket",
        peer=f"pid {peer.pid}",
        owner=peer.uid in (0, os.geteuid()),
    )


def require(actor: Actor, scope: Scope) -> None:
    """Let pass only who has the scope.

    Raises:
        Problem: 403.
    """
    if scope not in actor.scopes:
        raise Problem(
            403,
            "insufficient-scope",
            f"this needs the scope {scope}",
            found=", ".join(sorted(actor.scopes)) or "none",
            next_step="have it added to your entry of IAC_ADMIN_USERS on the server",
            headers={"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{scope}"'},
        )


def on_socket(request: Request) -> bool:
    """Whether the request came over the Unix socket."""
    return request.environ.get("iac.via") == "socket"


def _is_ours(host: str, settings: Settings) -> bool:
    try:
        parts = urlsplit(f"//{host}")
        name, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    if parts.username is not None or parts.path or parts.query or parts.fragment:
        return False
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return host_is_trusted(name, ["localhost", *settings.trusted_hosts])
