"""What the sidecar of a service says of a program that has no runner.

Over a connection whose peer is proven, like `service_call`. It must not know containers.
"""

from __future__ import annotations

import json

from iac_wrapper.identity.http2_client import CallError, Http2Client
from iac_wrapper.model.health import Health
from iac_wrapper.model.proof import ProofRequest

_PATH = "/iac.sidecar/readiness"


def ask(client: Http2Client, service: str, timeout: float, *, start: int, age: float) -> Health:
    """What the sidecar sees of the start number `start` of the program, `age` seconds old.

    `start` is the answer's `incarnation`.
    """
    request = ProofRequest("GET", f"{_PATH}?start={start}&age={age:.3f}")
    try:
        answer = client.call(request, authority=service, timeout=timeout)
    except CallError as error:
        return _silent(service, str(error))
    if answer.status != 200:
        said = answer.body.decode(errors="replace").strip()
        return _silent(service, f"HTTP {answer.status}: {said[:200]}")
    said = json.loads(answer.body)
    return Health(
        service,
        "SERVING" if said["ready"] else "NOT_SERVING",
        phase="RUNNING" if said["ready"] else "STARTING",
        message=said["message"],
        listening=said["listening"],
        protocol=said["protocol"],
        other_ports=tuple(said["others"]),
        incarnation=start,
        cause=said["cause"],
        next_step=said["next_step"],
        hopeless=said["final"],
    )


def _silent(service: str, why: str) -> Health:
    message = f"its sidecar does not say how it is ({why})"
    return Health(service, "NOT_SERVING", message=message, cause="no-sidecar")
