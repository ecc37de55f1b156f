"""Whether a program is ready, as the runner's parts tell each other. Values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Protocol = Literal["NONE", "HTTP", "GRPC", "TCP"]


@dataclass(frozen=True)
class ReadinessVerdict:
    """Whether the program is ready, and one sentence why.

    `listening` is where requests go, as ``address:port``; `protocol` what answers there; `others`
    are ports of the program that listen in the same way and were not chosen. `cause` and
    `next_step` are those of HealthStatus; `final`: waiting for readiness is pointless.
    """

    ready: bool
    message: str
    listening: str = ""
    protocol: Protocol = "NONE"
    others: tuple[int, ...] = ()
    cause: str = ""
    next_step: str = ""
    final: bool = False
