"""What is fixed in every service's network namespace and container. Values, no I/O.

`runner/` runs inside the containers and stands alone, so it repeats what it needs; a test compares.
"""

from __future__ import annotations

TLS_DIRECTORY = "/etc/iac/tls"
"""Where a service's leaf directory is mounted in its Envoy container."""

INGRESS_DIRECTORY = "/etc/iac/ingress"
"""Where the ingress finds its listeners and routes."""

PUBLIC_DIRECTORY = "/etc/iac/public"
"""Where the ingress finds the certificates of public hosts."""

STATE_DIRECTORY = "/var/lib/iac"
"""Where a sidecar keeps what it was told: the volume of its service's uids."""

ENTRANCES = {"local": 8000, "http": 8080, "https": 8443}
"""TCP ports in the ingress's container: of this machine's loopback, and of public hosts."""

PORTS = {
    "stats": 9901,
    "mtls": 15000,
    "outbound": 15001,
    "runner": 15020,
    "dns": 15053,
    "gateway": 15443,
}
"""TCP ports (`dns`: UDP) that an app cannot have: it shares its namespace with what listens there.
The gateway's is that of another container, kept free so that it means one thing everywhere."""

PROGRAMS = "127.0.0.64"
"""Where the firewall sends what programs ask a name server, and what they send to an address of
`ADDRESSES`: the ports `dns` and `outbound` of an address that no program needs."""

ADDRESSES = "127.64.0.0/10"
"""The addresses that a program gets for names of services that offer TCP ports."""

LOOPBACK_V6 = {"net.ipv6.conf.lo.disable_ipv6": "0"}
"""The kernel setting of an Envoy container that gives its namespace ``::1``: Docker switches IPv6
off in containers whose network has none, loopback included."""

DNS_OPTIONS = ("ndots:0",)
"""Docker's own value; said aloud it keeps the engine from asking other name servers for names of
one label, which services are (measured on 20.10)."""

OVERLOADED = "is short of memory"
"""Words of the answer of an Envoy that takes no more requests."""

MEANINGS = {
    "stats": "the sidecar's statistics",
    "mtls": "the sidecar's inbound listener",
    "outbound": "the sidecar's outbound listener",
    "runner": "the runner",
    "dns": "the sidecar's name server",
    "gateway": "the gateway",
}
"""The same names, for people."""
