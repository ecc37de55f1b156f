"""Whether an exposed service answers where people ask: through the ingress, on this machine."""

from __future__ import annotations

import http.client
import ssl
import time
from collections.abc import Iterator

from iac_wrapper.identity import public_certificates
from iac_wrapper.model import exposure
from iac_wrapper.model.app import ResolvedApp
from iac_wrapper.model.exposure import PublicPorts, Route
from iac_wrapper.model.lock import LockFile
from iac_wrapper.operations import ingress
from iac_wrapper.operations.workspace import Workspace
from iac_wrapper.settings.ingress import public_ports

_LOOPBACK = "127.0.0.1"
_MISDIRECTED = 421
_SECONDS = 2.0
"""For one connection of this machine to itself."""

PATIENCE = 5.0
"""Seconds in which an ingress that was just made, or told of a route, has it."""


def remarks(
    workspace: Workspace, lock: LockFile, app: ResolvedApp, *, serves: bool, patience: float
) -> Iterator[str]:
    """A sentence for each address of `app` at which people get nothing of it.

    Args:
        serves: it answers requests at all.
        patience: seconds for what may just have come; 0: one look.
    """
    if not workspace.engine_is_local:
        return  # its loopback is another machine's
    ports = public_ports(workspace.settings, lock)
    for route in exposure.routes([(app.name, app.options.expose)]):
        url = exposure.url_of(route, ports)
        if not serves:
            yield f"{url} leads to a program that listens nowhere"
        elif _is_secure(route) and not _has_certificate(workspace, route):
            yield f"{url} does not answer: {route.host} has no certificate yet"
        elif why := _fault(workspace, route, ports, time.monotonic() + patience):
            yield f"{url} does not answer: {why}"


def _is_secure(route: Route) -> bool:
    return not route.is_local and route.exposure.tls != "off"


def _has_certificate(workspace: Workspace, route: Route) -> bool:
    layout, project = workspace.layout, workspace.project
    return public_certificates.current(layout, project, route.host) is not None


def _fault(workspace: Workspace, route: Route, ports: PublicPorts, until: float) -> str:
    while True:
        try:
            status = _status(workspace, route, ports)
            why = "the ingress does not know it" if status == _MISDIRECTED else ""
        except (OSError, http.client.HTTPException) as error:
            why = str(error) or type(error).__name__
        if not why or time.monotonic() >= until:
            return why
        time.sleep(0.2)


def _status(workspace: Workspace, route: Route, ports: PublicPorts) -> int:
    """The status of an answer under the name that people use."""
    port, address = ports.local or 0, _LOOPBACK
    if not route.is_local:
        port = ports.https if _is_secure(route) else ports.http
        address = ingress.local_address(workspace)
    connection = http.client.HTTPConnection(address, port, timeout=_SECONDS)
    try:
        connection.connect()
        if _is_secure(route):
            connection.sock = _unverified().wrap_socket(connection.sock, server_hostname=route.host)
        headers = {"Host": f"{route.host}:{port}"}
        connection.request("HEAD", route.exposure.path, headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


def _unverified() -> ssl.SSLContext:
    """Who signed the certificate is for its own check; here it matters that there is one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
