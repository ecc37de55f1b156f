"""Whether an exposed service answers where people ask: through the ingress, on this machine."""

from __future__ import annotations

import http.client
import ssl
import time
from collections.abc import Iterator, Sequence

from constructs_lib import ingress_http
from iac_wrapper.files.layout import ingress_name
from iac_wrapper.identity import public_certificates
from iac_wrapper.model import exposure
from iac_wrapper.model.app import ResolvedApp
from iac_wrapper.model.crash_patterns import Finding
from iac_wrapper.model.diagnosis import Diagnosis
from iac_wrapper.model.exposure import PublicPorts, Route
from iac_wrapper.model.lock import LockFile
from iac_wrapper.model.report import UrlFault
from iac_wrapper.operations import ingress, stopped_containers
from iac_wrapper.operations.workspace import Workspace
from iac_wrapper.settings.ingress import public_ports

_LOOPBACK = "127.0.0.1"
_MISDIRECTED, _UNAVAILABLE = 421, 503
_SECONDS = 3.0
"""For one connection of this machine to itself, and its TLS."""

_ANSWER_SECONDS = 10.0
"""For an answer of the program: as long as in the proof."""

PATIENCE = 5.0
"""Seconds in which an ingress that was just made, or told of a route, has it."""


def faults(
    workspace: Workspace, lock: LockFile, app: ResolvedApp, *, serves: bool, patience: float
) -> Iterator[UrlFault]:
    """Each address of `app` at which people get nothing of it.

    Where a certificate could not be had yet, or the program serves nothing, that is no outage: it
    has never been otherwise, and trying again, or another `expose:`, is what helps.

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
            yield UrlFault(url, "leads to a program that listens nowhere", outage=False)
        elif _is_secure(route) and not _has_certificate(workspace, route):
            yield UrlFault(url, _no_certificate(workspace, route), outage=False)
        elif why := _fault(workspace, route, ports, time.monotonic() + patience):
            yield UrlFault(url, f"does not answer: {why}", outage=True)


def diagnose(workspace: Workspace, faults: Sequence[UrlFault]) -> Diagnosis | None:
    """What to do where a service is good and people do not get it; None if they do."""
    outage = next((fault for fault in faults if fault.outage), None)
    if outage is None:
        return None
    project = workspace.project
    why, evidence = f"{outage.url} {outage.why}", ""
    logs = f"`docker logs {ingress_name(project)}` has what the ingress says"
    step = f"iac heal --project {project}; {logs}"
    if stopped := stopped_containers.ingress(workspace, workspace.engine.container):
        why, evidence, step = stopped.text, stopped.evidence, stopped.next_step
    found = Finding("unreached", f"people do not reach it: {why}", evidence, step)
    return Diagnosis(found, "serves other services")


def _is_secure(route: Route) -> bool:
    return not route.is_local and route.exposure.tls != "off"


def _has_certificate(workspace: Workspace, route: Route) -> bool:
    layout, project = workspace.layout, workspace.project
    return public_certificates.current(layout, project, route.host) is not None


def _no_certificate(workspace: Workspace, route: Route) -> str:
    """With what the ACME server said, if it did."""
    from iac_wrapper.operations.public_certificates import (  # noqa: PLC0415 - ACME: 0.3 s
        last_refusal,
    )

    said = last_refusal(workspace, route.host)
    return "no certificate yet" + (f": {said}" if said else "")


def _fault(workspace: Workspace, route: Route, ports: PublicPorts, until: float) -> str:
    while True:
        try:
            why = _look(workspace, route, ports)
        except (OSError, http.client.HTTPException) as error:
            why = str(error) or type(error).__name__
        if not why or time.monotonic() >= until:
            return why
        time.sleep(0.2)


def _look(workspace: Workspace, route: Route, ports: PublicPorts) -> str:
    """Ask under the name that people use; empty if the program answers, whatever it says."""
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
        connection.sock.settimeout(_ANSWER_SECONDS)
        connection.request("GET", route.exposure.path, headers=headers)
        answer = connection.getresponse()
        if answer.status == _MISDIRECTED:
            return "the ingress does not know it"
        if answer.status == _UNAVAILABLE and ingress_http.NO_ANSWER in answer.read(200).decode(
            errors="replace"
        ):
            return "the ingress does not reach the service"
        return ""
    finally:
        connection.close()


def _unverified() -> ssl.SSLContext:
    """Who signed the certificate is for its own check; here it matters that there is one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
