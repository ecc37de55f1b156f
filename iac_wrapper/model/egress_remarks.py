"""What `egress:` of a service shuts, or cannot shut, that people would not expect. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from iac_wrapper.model.app import ResolvedApp
from iac_wrapper.model.egress import covers, is_name
from iac_wrapper.model.lock import LockFile


def remarks(lock: LockFile, otlp_endpoint: str) -> Iterator[str]:
    """A sentence each.

    Args:
        lock: what will be deployed.
        otlp_endpoint: where programs are told to send spans; empty: nowhere.
    """
    for app in lock.apps:
        allowed = app.options.egress
        if allowed is None:
            continue
        if app.has_runner and (shut := _shut(allowed, otlp_endpoint)):
            yield (
                f"{app.name}: its `egress:` does not allow {shut} (OTEL_EXPORTER_OTLP_ENDPOINT),"
                " so its spans are not sent"
            )
        has_names = any(is_name(each.partition(":")[0]) for each in allowed)
        if has_names and _as_root(app):
            yield (
                f"{app.name} starts as root in its container: what runs as root there can send to"
                " port 53 of any address, because its `egress:` has host names"
            )
        if has_names and "CAP_SETUID" in _capabilities(app):
            yield (
                f"{app.name} may become any user in its container, also its sidecar's, who reaches"
                " any address at the ports that its `egress:` lists; write `user:` or"
                " `capabilities: []` in its entry"
            )


def _shut(allowed: tuple[str, ...], endpoint: str) -> str:
    """Host and port of an endpoint outside of the project that is not allowed; empty: it is."""
    found = urlsplit(endpoint)
    host = found.hostname or ""
    port = found.port or (443 if found.scheme == "https" else 80)
    if "." not in host or any(covers(each, host, port) for each in allowed):
        return ""
    return f"{host}:{port}"


def _capabilities(app: ResolvedApp) -> tuple[str, ...]:
    return app.foreign.capabilities(app.options.capabilities) if app.foreign else ()


def _as_root(app: ResolvedApp) -> bool:
    return app.foreign is not None and app.foreign.uid == 0
