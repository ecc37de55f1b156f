"""Whether the parts of a service still do anything: real requests, over a connection whose peer is
proven. A part that is slow, failing or restarting is alive; one that hangs says nothing at all.

It must not know containers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from iac_wrapper.identity import handshake, service_call
from iac_wrapper.identity.http2_client import CallError, Http2Client
from iac_wrapper.model.proof import ProofRequest

Silent = Literal["", "handshake", "envoy", "app"]
"""What says nothing; empty: all parts answer. ``handshake``: Envoy or the gateway; ``envoy``: PID 1
of the Envoy container; ``app``: the runner."""

_SIDECAR = ProofRequest("GET", "/iac.sidecar/")
"""Answered by PID 1 of the Envoy container: it knows no such page."""


def silent_part(
    port: int, service: str, tls_dir: Path, *, has_runner: bool, timeout: float
) -> Silent:
    """Ask Envoy (a handshake), its PID 1 and the runner, in this order; the first that is silent.

    Args:
        port: the gateway's loopback port.
        tls_dir: the control plane's own ``tls.crt``, ``tls.key`` and ``ca.crt``.
        has_runner: whether PID 1 of the app container is ours.
        timeout: seconds for each answer.

    Raises:
        OSError: a file of `tls_dir` cannot be read.
    """
    client = Http2Client()
    try:
        with handshake.meet(port, service, tls_dir, timeout=timeout, hello=client.hello) as met:
            client.attach(met.secure, met.first)
            if _is_silent(client, _SIDECAR, service, timeout):
                return "envoy"
            if has_runner and _is_silent(client, service_call.HEALTH_CHECK, service, timeout):
                return "app"
    except handshake.HandshakeError as error:
        return "handshake" if error.silent else ""
    return ""


def _is_silent(client: Http2Client, request: ProofRequest, service: str, timeout: float) -> bool:
    """Whether nothing comes back; what comes is not asked for here."""
    try:
        client.call(request, authority=service, timeout=timeout)
    except CallError as error:
        return error.silent
    return False
