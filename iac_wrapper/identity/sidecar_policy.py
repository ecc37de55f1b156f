"""What the control plane tells a sidecar: who may call its service, that a person may, and that
its program is about to be stopped.

One connection through the gateway for each request, to a peer that is proven first. It must not
know how policies come about.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from iac_wrapper.identity import handshake
from iac_wrapper.identity.http2_client import CallError, Http2Client
from iac_wrapper.model.certificate import spiffe_id
from iac_wrapper.model.proof import ProofRequest

_POLICY, _OPERATOR, _PAUSE = (f"/iac.sidecar/{word}" for word in ("policy", "operator", "pause"))


class SidecarError(Exception):
    """A sidecar did not do what it was told; the text is a sentence for people.

    Args:
        absent: nobody answers as the service; else its sidecar does, and has another answer.
    """

    def __init__(self, text: str, *, absent: bool = False) -> None:
        super().__init__(text)
        self.absent = absent


@dataclass(frozen=True)
class PolicyState:
    """What a sidecar has: the digest of its policy, and how many requests and TCP connections it
    has let in, by caller, and refused since its Envoy started."""

    digest: str
    calls: Mapping[str, int] = field(default_factory=dict)
    refused: int = 0


@dataclass(frozen=True)
class Sidecars:
    """The sidecars of a project.

    Args:
        port: the gateway's loopback port.
        trust_domain: in whose identities they must be.
        tls_dir: the control plane's ``tls.crt``, ``tls.key`` and ``ca.crt``.
        timeout: seconds for each step of a request.
    """

    port: int
    trust_domain: str
    tls_dir: Path
    timeout: float = 5.0

    def put(self, service: str, document: str) -> str:
        """Give the sidecar of `service` a policy; the digest of what it has then.

        Raises:
            SidecarError: it has not taken it.
        """
        said = self._ask(service, ProofRequest("PUT", _POLICY, body=document.encode()))
        return str(said["digest"])

    def get(self, service: str) -> PolicyState:
        """What the sidecar of `service` has.

        Raises:
            SidecarError: it does not say it.
        """
        said = self._ask(service, ProofRequest("GET", _POLICY))
        calls = {str(name): int(count) for name, count in said.get("calls", {}).items()}
        return PolicyState(str(said["digest"]), calls, int(said.get("refused", 0)))

    def lend(self, service: str, seconds: int) -> None:
        """Let the operator's identity call `service` for so long; 0: no longer.

        Raises:
            SidecarError: it does not.
        """
        body = json.dumps({"seconds": seconds}).encode()
        self._ask(service, ProofRequest("PUT", _OPERATOR, body=body))

    def pause(self, service: str, container: str, seconds: int) -> None:
        """Have the requests to a program without a runner end, and new ones refused for so long; 0:
        no longer. `container` is the Envoy's name, whoever has the service's traffic.

        Raises:
            SidecarError: it does not.
        """
        body = json.dumps({"seconds": seconds}).encode()
        self._ask(service, ProofRequest("PUT", _PAUSE, body=body), sni=container)

    def _ask(self, service: str, request: ProofRequest, sni: str = "") -> dict[str, Any]:
        client, expected = Http2Client(), spiffe_id(self.trust_domain, service)
        try:
            with handshake.meet(
                self.port,
                service,
                self.tls_dir,
                timeout=self.timeout,
                hello=client.hello,
                sni=sni,
            ) as met:
                client.attach(met.secure, met.first)
                if met.peer.identity != expected:
                    raise SidecarError(f"the peer is {met.peer.identity}, not {expected}")
                answer = client.call(request, authority=service, timeout=self.timeout)
        except (handshake.HandshakeError, CallError, OSError) as error:
            raise SidecarError(str(error), absent=True) from None
        try:
            said: dict[str, Any] = json.loads(answer.body)
            if answer.status == 200 and isinstance(said, dict):  # else another program's answer
                return {"digest": "", **said}
        except ValueError:
            pass
        text = answer.body.decode(errors="replace").strip()[:200]
        raise SidecarError(f"HTTP {answer.status}: {text}")
