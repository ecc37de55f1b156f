"""What a service offers over TCP: told by its own sidecar, over mTLS, to whoever may call it.

The question is an HTTP request through our own Envoy, as a program would make it: so the answer is
that of a peer that has proven its name.
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass

from runner.listeners import MESH_PORTS

PATH = "/iac.mesh/tcp"
"""Answered by the callee's Envoy; no request for it reaches a program."""

SECONDS = 3.0
"""For one answer."""

_FORM = re.compile(r"((?:[0-9]{1,5} )*)(http)?")


@dataclass(frozen=True)
class Offer:
    """The declared TCP ports of a service, and whether its other ports are for HTTP."""

    ports: tuple[int, ...] = ()
    http: bool = True

    def __str__(self) -> str:
        return "".join(f"{port} " for port in self.ports) + ("http" if self.http else "")


def read(text: str) -> Offer | None:
    """An offer from its text; None if it is none."""
    form = _FORM.fullmatch(text)
    ports = tuple(map(int, form[1].split())) if form else ()
    return Offer(ports, bool(form[2])) if form and all(0 < port < 65536 for port in ports) else None


def ask(service: str, envoy: tuple[str, int] = ("127.0.0.1", MESH_PORTS["outbound"])) -> Offer:
    """What `service` offers.

    Raises:
        OSError: it does not say.
    """
    question = f"GET {PATH} HTTP/1.1\r\nHost: {service}\r\nConnection: close\r\n\r\n"
    answer = b""
    with socket.create_connection(envoy, SECONDS) as connection:
        connection.sendall(question.encode("ascii"))
        while chunk := connection.recv(4096):
            answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    found = read(body.decode("latin-1")) if head.startswith(b"HTTP/1.1 200 ") else None
    if found is None:
        raise OSError(f"{service} does not say which TCP ports it offers")
    return found
