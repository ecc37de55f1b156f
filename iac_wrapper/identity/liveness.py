"""Whether the parts of a project still do anything: real requests, over a connection whose peer is
proven where there is a key. A part that is slow, failing or says no is alive.

It must not know containers.
"""

from __future__ import annotations

import http.client
from contextlib import closing
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import unquote

from iac_wrapper.identity import handshake, service_call
from iac_wrapper.identity.http2_client import CallError, Http2Client
from iac_wrapper.model.mesh import OVERLOADED
from iac_wrapper.model.proof import ProofRequest, ServiceAnswer

PID_1 = ProofRequest("GET", "/iac.sidecar/")
"""Answered by PID 1 of every Envoy container: it knows no such page."""


class Unanswered(NamedTuple):
    """Who did not answer: Envoy or the gateway before it (``handshake``), PID 1 of the Envoy
    container (``envoy``), the runner (``app``).

    `closed`: the connection was closed, or Envoy says so for the part behind it; else nothing came
    within the time.
    """

    part: Literal["handshake", "envoy", "app"]
    closed: bool = False


def unanswered(  # noqa: PLR0913 - where, whom, as whom, by keyword
    port: int, service: str, tls_dir: Path, *, has_runner: bool, timeout: float, sni: str = ""
) -> Unanswered | None:
    """Ask Envoy (a handshake), its PID 1 and the runner, in this order; the first without an
    answer, None: all have answered.

    Args:
        port: the gateway's loopback port.
        service: must be a DNS name of the peer's certificate.
        tls_dir: the control plane's own ``tls.crt``, ``tls.key`` and ``ca.crt``.
        has_runner: whether PID 1 of the app container is ours.
        timeout: seconds for each answer.
        sni: the name that the gateway finds the peer by, if that is not `service`.

    Raises:
        OSError: a file of `tls_dir` cannot be read.
    """
    client = Http2Client()
    try:
        with handshake.meet(
            port, service, tls_dir, timeout=timeout, hello=client.hello, sni=sni
        ) as met:
            client.attach(met.secure, met.first)
            if missed := _missed(client, PID_1, service, timeout):
                return Unanswered("envoy", missed == "closed")
            if has_runner and (
                missed := _missed(client, service_call.HEALTH_CHECK, service, timeout)
            ):
                return Unanswered("app", missed == "closed")
    except (handshake.HandshakeError, CallError) as error:
        return Unanswered("handshake", not error.silent)
    return None


def gateway_unanswered(port: int, *, timeout: float) -> Unanswered | None:
    """Ask PID 1 of the gateway at its loopback port; `timeout` as above.

    In the clear, as the gateway has no key, and it answers the host alone.
    """
    with closing(http.client.HTTPConnection(handshake.HOST, port, timeout=timeout)) as connection:
        try:
            connection.request(PID_1.method, PID_1.path)
            status = connection.getresponse().status
        except TimeoutError:
            return Unanswered("envoy")
        except (OSError, http.client.HTTPException):
            return Unanswered("envoy", closed=True)
    return Unanswered("envoy", closed=True) if status == _UNAVAILABLE else None


def _missed(
    client: Http2Client, request: ProofRequest, service: str, timeout: float
) -> Literal["", "silent", "closed"]:
    """What came instead of an answer; empty: one did, whatever it says."""
    try:
        answer = client.call(request, authority=service, timeout=timeout)
    except CallError as error:
        return "silent" if error.silent else "closed"
    return "closed" if _is_envoys(answer) else ""


_UNAVAILABLE = http.client.SERVICE_UNAVAILABLE
_GRPC_UNAVAILABLE = 14


def _is_envoys(answer: ServiceAnswer) -> bool:
    """Whether Envoy answered because the part behind it closed the connection or takes none: no
    part of ours has such a status. An Envoy that is short of memory asks nobody."""
    if answer.status != _UNAVAILABLE and answer.grpc_status != _GRPC_UNAVAILABLE:
        return False
    said = unquote(answer.headers.get("grpc-message", "")) + answer.body.decode(errors="replace")
    return OVERLOADED not in said
