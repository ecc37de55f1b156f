"""How a service is: what its runner said, who proved to be answering, a line of its output."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

HealthState = Literal["SERVING", "NOT_SERVING", "UNREACHABLE"]
Phase = Literal["UNKNOWN", "STARTING", "RUNNING", "COMPLETED", "FAILED"]

Protocol = Literal["NONE", "HTTP", "GRPC", "TCP"]


@dataclass(frozen=True)
class Health:
    """One service, seen from outside over mTLS.

    `status` is UNREACHABLE when no answer came from a peer that proved to be the service;
    `identity` is the SPIFFE URI that the peer proved in the handshake, None without one;
    `fingerprint` (SHA-256 of the DER form, 64 hex digits) and `expires` (UTC) are those of the
    certificate it showed there, so they tell whether a rotated one is in use.
    `exit_code` (as a shell shows it), `signal` (number, 0: none) and `oom` say how the program
    ended last; `exit_code` is None while it has not. `oom_kills` counts the processes of the
    current start that the kernel killed for lack of memory; the program may live on. `message` is
    one sentence for people; `failures` counts failures in a row; `seconds` is how long the answer
    (or the wait) took.

    `listening` is where requests go inside the service's namespace (``address:port``, empty: it
    serves nothing), `protocol` what answers there, `other_ports` those that listen beside it and
    get no request, `evidence` the answer that proved it (``200 in 4 ms on 5000``) and `answer` its
    HTTP status, None if it was not an HTTP answer; `to_https`: it
    sends its callers to its own name with another scheme. `incarnation` is
    another number for each start of the program. `cause` is the machine-readable reason of
    NOT_SERVING, as in controlplane.proto, and `next_step` what can be done about it; `hopeless`: it
    will not become SERVING by waiting. `fault`: the request itself made the program fail (it
    answered 500, dropped it or left it open); a 503 may mean "not yet". `since` (UTC) is when
    status or phase changed last, `restarts` how often the program was started again in its
    container.
    """

    name: str
    status: HealthState
    phase: Phase = "UNKNOWN"
    identity: str | None = None
    exit_code: int | None = None
    signal: int = 0
    oom: bool = False
    oom_kills: int = 0
    message: str = ""
    failures: int = 0
    seconds: float = 0.0
    fingerprint: str | None = None
    expires: datetime | None = None
    listening: str = ""
    protocol: Protocol = "NONE"
    other_ports: tuple[int, ...] = ()
    evidence: str = ""
    answer: int | None = None
    to_https: bool = False
    incarnation: int = 0
    cause: str = ""
    next_step: str = ""
    hopeless: bool = False
    fault: bool = False
    since: datetime | None = None
    restarts: int = 0

    @property
    def port(self) -> int | None:
        """The port that requests go to; None: the program serves nothing."""
        return int(self.listening.rpartition(":")[2]) if self.listening else None

    @property
    def serving(self) -> bool:
        """Whether the service may be called deployed."""
        return self.status == "SERVING"

    @property
    def way(self) -> str:
        """The status for people: only what requests go to is called SERVING."""
        if not self.serving:
            return self.status
        if self.phase == "COMPLETED":
            return "COMPLETED"
        return "SERVING" if self.listening else "RUNNING"

    @property
    def final(self) -> bool:
        """Whether waiting longer is pointless, either way."""
        return self.serving or self.hopeless


@dataclass(frozen=True)
class Probe:
    """A try to talk to a service without a client certificate.

    `refused` is True when the service proved its identity and then turned us away, False when it
    answered, None when neither was seen (nothing there, no time): that proves nothing.
    """

    name: str
    refused: bool | None
    message: str


@dataclass(frozen=True)
class LogLine:
    """One line of a service's output; `stream` ``runner`` marks the runner's own words."""

    service: str
    ts: datetime
    stream: Literal["stdout", "stderr", "runner"]
    text: str
