"""The container of a person's way to one service, as the Docker API takes it. Values, no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from iac_wrapper.model import envoy_container, labels
from iac_wrapper.model.limits import MAX_PROCESSES
from iac_wrapper.model.mesh import DNS_OPTIONS, PORTS

_MIB = 1024 * 1024


@dataclass(frozen=True)
class OperatorContainer:
    """Like a gateway's, but that nobody starts it again.

    `uid` is its Envoy's; `local_port` the one on the host's loopback; `tcp_port` the service's,
    None where it is asked as HTTP.
    """

    project: str
    service: str
    image: str
    uid: int
    network: str
    subnet: str
    trust_domain: str
    local_port: int
    tcp_port: int | None
    max_headers: int
    max_headers_kb: int

    def body(self) -> dict[str, Any]:
        """The create call's; no key is in it."""
        inside = f"{PORTS['gateway']}/tcp"
        memory = envoy_container.MEMORY_MB * _MIB
        return {
            "Image": self.image,
            "User": "0:0",
            "Env": [f"{name}={value}" for name, value in sorted(self._environment().items())],
            "Labels": {
                labels.PROJECT: self.project,
                labels.SERVICE: self.service,
                labels.ROLE: labels.OPERATOR,
            },
            "StopTimeout": envoy_container.STOP_SECONDS,
            "ExposedPorts": {inside: {}},
            "HostConfig": {
                "Init": False,
                "NetworkMode": self.network,
                "PortBindings": {
                    inside: [{"HostIp": "127.0.0.1", "HostPort": str(self.local_port)}]
                },
                "ReadonlyRootfs": True,
                "CapDrop": ["ALL"],
                "CapAdd": list(envoy_container.CAPABILITIES),
                "SecurityOpt": ["no-new-privileges:true"],
                "Memory": memory,
                "MemorySwap": memory,
                "Ulimits": [{"Name": "nproc", "Soft": MAX_PROCESSES, "Hard": MAX_PROCESSES}],
                "Tmpfs": envoy_container.tmpfs(self.uid),
                "DnsOptions": list(DNS_OPTIONS),
                "LogConfig": {
                    "Type": "json-file",
                    "Config": {"max-size": "10m", "max-file": "3"},
                },
            },
        }

    def _environment(self) -> dict[str, str | int]:
        tcp = {"IAC_TCP_PORT": self.tcp_port} if self.tcp_port else {}
        return {
            "IAC_ENVOY_UID": self.uid,
            "IAC_LOCAL_PORT": self.local_port,
            "IAC_MAX_HEADERS": self.max_headers,
            "IAC_MAX_HEADERS_KB": self.max_headers_kb,
            "IAC_PROJECT": self.project,
            "IAC_ROLE": labels.OPERATOR,
            "IAC_SERVICE": self.service,
            "IAC_SUBNET": self.subnet,
            "IAC_TRUST_DOMAIN": self.trust_domain,
            **tcp,
        }
