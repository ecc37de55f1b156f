"""What is asked of a service that says it serves, and which answers prove it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from iac_wrapper.model import tcp
from iac_wrapper.model.app import ResolvedApp
from iac_wrapper.model.health import Health

_DROPPED = "disconnect/reset before headers"
"""Part of what Envoy answers where the program closed the connection without an answer."""

GRPC_STATUS = (
    *("OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND"),
    *("ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION"),
    *("ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"),
    "UNAUTHENTICATED",
)
"""Names by number (the gRPC documentation, "Status codes and their use in gRPC")."""


@dataclass(frozen=True)
class ProofQuestion:
    """What to ask a program that serves HTTP: `path`, whose answer counts.

    `exact`: repos.yaml declares the path, so only a status below 400 will do. `http`: its author
    says that it is an HTTP server, so that another protocol is no answer. `tcp` are the ports that
    must accept connections besides.
    """

    path: str = "/"
    exact: bool = False
    http: bool = False
    tcp: tuple[int, ...] = ()

    @classmethod
    def about(cls, app: ResolvedApp) -> ProofQuestion:
        """What repos.yaml says of `app`; detection cannot tell one server from another."""
        path, run = app.options.health, app.options.run
        return cls(
            path or "/", exact=bool(path), http=bool(path) or run == "web", tcp=app.options.tcp
        )


@dataclass(frozen=True)
class ProofRequest:
    """One HTTP/2 request; the authority is the connection's business."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class ServiceAnswer:
    """What came back: status, headers and trailers together, the start of the body; `seconds` is
    the time to the status."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float

    @property
    def grpc_status(self) -> int | None:
        """The number in ``grpc-status``; None if this is no gRPC answer."""
        number = self.headers.get("grpc-status", "")
        return int(number) if number.isdecimal() else None


def grpc_request(method: str, message: bytes = b"") -> ProofRequest:
    """A unary call of ``package.Service/Method`` with an encoded message."""
    headers = {"content-type": "application/grpc", "te": "trailers"}
    return ProofRequest("POST", f"/{method}", headers, b"\0" + len(message).to_bytes(4) + message)


def request(health: Health, question: ProofQuestion) -> ProofRequest | None:
    """What to ask of a program in this state; None: nothing, a TCP accept is all there is."""
    if health.protocol == "GRPC" and not question.exact:
        return grpc_request("karstkit.Proof/Answer")  # nobody has it: UNIMPLEMENTED is an answer
    return (
        None
        if health.protocol == "TCP" and not question.http
        else ProofRequest("GET", question.path)
    )


def judge(health: Health, question: ProofQuestion, answer: ServiceAnswer | None) -> Health:
    """`health` with the evidence in `answer`, or as NOT_SERVING with the reason.

    Args:
        answer: to what `request` asked; None: it asked nothing.
    """
    if answer is None:
        return replace(health, evidence=f"accepts on {health.port} (TCP)")
    took = f"in {answer.seconds * 1000:.0f} ms on {health.port}"
    if health.protocol == "GRPC" and not question.exact:
        return _judge_grpc(health, answer, took)
    if answer.status < (400 if question.exact else 500):
        to = answer.headers.get("location", "").startswith(f"https://{health.name}")
        evidence = f"{answer.status}{' to https' if to else ''} {took}"
        return replace(health, evidence=evidence, answer=answer.status, to_https=to)
    said = answer.body.decode(errors="replace").strip().partition("\n")[0]
    plain = answer.headers.get("content-type", "").startswith("text/plain") and said
    why = f" ({said[:200]})" if plain else ""
    message = f"GET {question.path} on port {health.port}: {answer.status}{why}"
    return no_answer(health, message, fault=answer.status == 500 or _DROPPED in why)


def accepted(health: Health, ports: Sequence[int]) -> Health:
    """`health` with what its TCP ports showed, which all accept connections."""
    ways = [f"accepts on {tcp.shown(ports)} (TCP)"]
    if health.port not in ports:
        ways.insert(0, health.evidence)
    return replace(health, evidence="; ".join(ways))


def no_answer(health: Health, message: str, *, fault: bool) -> Health:
    """`health` as NOT_SERVING because the request failed; `fault` as in `Health`."""
    return replace(
        health, status="NOT_SERVING", message=message, cause="no-answer", next_step="", fault=fault
    )


def _judge_grpc(health: Health, answer: ServiceAnswer, took: str) -> Health:
    number = answer.grpc_status
    if number is None:
        said = f"a gRPC call on port {health.port}: HTTP {answer.status}"
        return no_answer(health, said, fault=answer.status == 500)
    name = GRPC_STATUS[number] if number < len(GRPC_STATUS) else str(number)
    if name == "UNAVAILABLE":  # what Envoy says when the program does not answer
        said = answer.headers.get("grpc-message", "")
        message = f"a gRPC call on port {health.port}: {name} ({said})"
        return no_answer(health, message, fault=_DROPPED in said)
    return replace(health, evidence=f"gRPC {name} {took}")
