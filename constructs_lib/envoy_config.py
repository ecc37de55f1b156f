"""Renders Envoy's configuration of a sidecar and of the gateway: text in, text out.

It must not know cdktf, Docker, or which other services exist. The text is a stream of YAML
documents; each opens with ``--- # <file name>`` and PID 1 of the container (runner/sidecar.py)
writes it to a file of that name. The first is Envoy's bootstrap, the others are what it watches.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from iac_wrapper.model.certificate import CONTROL_PLANE, spiffe_id
from iac_wrapper.model.mesh import PORTS, TLS_DIRECTORY

RUN_DIRECTORY = "/run/envoy"
"""Where PID 1 writes the documents; a tmpfs in the container."""

LABEL = "^[A-Za-z0-9-]*[A-Za-z][A-Za-z0-9-]*$"
"""What can be dialled: one DNS label with at least one letter, so never an address (RE2)."""

_DNS_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


def sidecar_config(*, service: str, trust_domain: str, app_port: int) -> str:
    """The configuration of one service's Envoy.

    Args:
        service: the service name, a DNS label; Envoy's node id in logs and statistics.
        trust_domain: the network's name, a DNS label: peers are ``spiffe://<trust_domain>/…``.
        app_port: TCP port of the user's program on 127.0.0.1; none of the fixed ports.

    Raises:
        ValueError: a value is not of that form.
    """
    for name, value in (("service", service), ("trust_domain", trust_domain)):
        if not _DNS_LABEL.fullmatch(value):
            raise ValueError(f"{name} is {value!r}, expected a DNS label")
    if not 1 <= app_port <= 65535 or app_port in PORTS.values():
        taken = ", ".join(str(port) for port in sorted(PORTS.values()))
        raise ValueError(f"app_port is {app_port}, expected 1 to 65535 without {taken}")
    return _render(
        "sidecar.yaml.j2",
        service=service,
        trust_domain=trust_domain,
        identities=spiffe_id(trust_domain, ""),
        control_plane=spiffe_id(trust_domain, CONTROL_PLANE),
        app_port=app_port,
    )


def gateway_config() -> str:
    """The configuration of the gateway: the same for every project."""
    return _render("gateway.yaml.j2", service="gateway", trust_domain="gateway")


def _render(template: str, **values: Any) -> str:
    return _environment().get_template(template).render(values)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - YAML, not HTML; every value is validated above
        keep_trailing_newline=True,
    )
    environment.globals.update(
        ports=PORTS, label=LABEL, run=RUN_DIRECTORY, tls_directory=TLS_DIRECTORY
    )
    return environment
