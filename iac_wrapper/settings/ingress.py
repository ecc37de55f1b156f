"""The ingress of a project: its lock and the settings together."""

from __future__ import annotations

from iac_wrapper.model.exposure import PublicPorts
from iac_wrapper.model.ingress import Ingress
from iac_wrapper.model.lock import LockFile
from iac_wrapper.settings.table import Settings


def public_ports(settings: Settings, lock: LockFile) -> PublicPorts:
    """The host's ports at which people reach services."""
    return PublicPorts(lock.ingress_port, settings.http_port, settings.https_port)


def ingress_of(settings: Settings, lock: LockFile) -> Ingress | None:
    """What the ingress serves; None: no service is exposed, so there is none."""
    if not lock.routes:
        return None
    return Ingress(
        project=lock.project,
        routes=lock.routes,
        ports=public_ports(settings, lock),
        addresses=settings.ingress_addresses,
        trusted_proxies=settings.ingress_trusted_proxies,
        max_headers=settings.max_headers,
        max_headers_kb=settings.max_headers_kb,
    )
