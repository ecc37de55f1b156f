"""Which port of which service a person wants on this machine, and as what. Values, no I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from iac_wrapper.errors import ConfigError
from iac_wrapper.model.app import ResolvedApp


@dataclass(frozen=True)
class Way:
    """``SERVICE[:PORT] [LOCAL]`` as written; None: not said."""

    service: str
    port: int | None = None
    local: int | None = None


def parse_ways(words: Sequence[str]) -> list[Way]:
    """The services that the words name; a number is the local port of the one before it.

    Raises:
        ConfigError: a number stands alone, is no port, or is there twice.
    """
    found: list[Way] = []
    for word in words:
        if word.isdecimal():
            if not found or found[-1].local is not None:
                raise _bad("a port without a service before it", word)
            found[-1] = Way(found[-1].service, found[-1].port, _port(word))
        else:
            service, colon, port = word.partition(":")
            found.append(Way(service, _port(port) if colon else None))
    local = [way.local for way in found if way.local is not None]
    if twice := next((port for port in local if local.count(port) > 1), None):
        raise _bad("two services on one port of this machine", str(twice))
    return found


def tcp_port(app: ResolvedApp, port: int | None) -> int | None:
    """The port to reach as bytes; None: the service is asked as HTTP.

    Args:
        port: as a person wrote it; without one, a service that serves no HTTP has its only one.

    Raises:
        ConfigError: the service does not offer that port, or several and none was named.
    """
    tcp = _declared(app)
    if port in tcp:
        return port
    if port is None and (not tcp or app.port_declared):
        return None
    if port is None and len(tcp) == 1:
        return tcp[0]
    if port == app.port and (app.port_declared or not tcp):
        return None
    http = [f"{app.port} (HTTP)"] if app.port_declared else []
    offered = ", ".join([*http, *(f"{each} (tcp)" for each in tcp)])
    first = tcp[0] if tcp else app.port
    raise ConfigError(
        f"{app.name} offers several ports" if port is None else f"{app.name} offers no port {port}",
        expected=offered or f"no port: {app.name} is asked as HTTP, wherever it listens",
        next_step=f"iac proxy {app.name}:{first}" if offered else f"iac proxy {app.name}",
    )


def _declared(app: ResolvedApp) -> tuple[int, ...]:
    """The ports that the entry's `tcp:` names."""
    return tuple(getattr(app.options, "tcp", None) or ())


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise _bad("bad port", text)
    return int(text)


def _bad(message: str, text: str) -> ConfigError:
    return ConfigError(
        message,
        found=repr(text),
        expected="SERVICE[:PORT] [LOCAL], with ports from 1 to 65535",
        next_step="write it as in `iac proxy web 8000`",
    )
