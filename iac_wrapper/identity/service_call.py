"""What the runner of a service says of its program, and what the program itself answers.

Over a connection whose peer is proven; the messages' code is imported at the first call. It must
not know how the connection came about.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC
from typing import Any, cast
from urllib.parse import unquote

from iac_wrapper.identity.http2_client import CallError, Http2Client
from iac_wrapper.model import proof
from iac_wrapper.model.health import Health, Phase, Protocol
from iac_wrapper.model.proof import GRPC_STATUS, ProofQuestion, ServiceAnswer

ANSWER_SECONDS = 10.0
"""How long a program may take for one answer: the first one may load what it needs."""

HEALTH_CHECK = proof.grpc_request("iac.controlplane.v1.ControlPlane/HealthCheck")
"""The question to a runner, how its program is."""


def ask(client: Http2Client, service: str, timeout: float) -> Health:
    """What the runner says.

    The sidecar has proven who it is: when it says that nobody answers, that is NOT_SERVING.
    """
    try:
        answer = client.call(HEALTH_CHECK, authority=service, timeout=timeout)
    except CallError as error:
        message = f"the runner's health: {error}"
        return Health(service, "NOT_SERVING", message=message, cause="no-runner")
    if answer.grpc_status != 0 or len(answer.body) < 5:
        return Health(service, "NOT_SERVING", message=_explain(answer), cause="no-runner")
    return _to_health(service, messages().HealthStatus.FromString(answer.body[5:]))


def prove_answer(client: Http2Client, found: Health, question: ProofQuestion) -> Health:
    """Ask a program that says it serves; one that does not listen has its life as evidence."""
    if not found.listening:
        return replace(found, evidence=found.message)
    asked = proof.request(found, question)
    if asked is None:
        return proof.judge(found, question, None)
    try:
        answer = client.call(asked, authority=found.name, timeout=ANSWER_SECONDS)
    except CallError as error:
        what = "a gRPC call" if asked.body else f"GET {asked.path}"
        return proof.no_answer(found, f"{what} on port {found.port}: {error}", fault=True)
    return proof.judge(found, question, answer)


def _to_health(service: str, status: Any) -> Health:
    pb = messages()
    serving = status.status == pb.SERVING
    phase = "UNKNOWN" if not status.phase else pb.Phase.Name(status.phase)
    return Health(
        service,
        "SERVING" if serving else "NOT_SERVING",
        phase=cast(Phase, phase),
        exit_code=status.exit_code if status.HasField("exit_code") else None,
        signal=status.signal,
        oom=status.oom,
        oom_kills=status.oom_kills,
        message=status.message,
        failures=status.failures,
        listening=status.listening,
        protocol=cast(Protocol, pb.Protocol.Name(status.protocol)),
        other_ports=tuple(status.other_ports),
        incarnation=status.incarnation,
        cause=status.cause,
        next_step=status.next_step,
        hopeless=status.final,
        since=status.since.ToDatetime(tzinfo=UTC) if status.HasField("since") else None,
        restarts=status.restarts,
    )


def _explain(answer: ServiceAnswer) -> str:
    """A failed call of the runner as a sentence: who in the chain did not play along."""
    number = answer.grpc_status
    if number is None:
        return f"the sidecar answers HTTP {answer.status} for the runner"
    code = GRPC_STATUS[number] if number < len(GRPC_STATUS) else str(number)
    return sentence(code, unquote(answer.headers.get("grpc-message", "")))


def sentence(code: str, details: str) -> str:
    """What a gRPC status of the runner means for people."""
    sentences = {
        "UNAVAILABLE": "the sidecar answers, the runner behind it does not (app container down?)",
        "DEADLINE_EXCEEDED": "the runner did not answer in time",
        "PERMISSION_DENIED": "the sidecar does not let the control plane's identity in",
        "UNIMPLEMENTED": "the app container has no runner of this version",
    }
    return f"{sentences.get(code, 'the call failed')} ({code}: {details.strip()})"


def messages() -> Any:
    """The protocol's message types."""
    from iac_wrapper.grpc_pb import controlplane_pb2  # noqa: PLC0415 - imports protobuf

    return controlplane_pb2
