"""The key ``tcp``: ports of a service that others may reach over any protocol. Values, no I/O."""

from __future__ import annotations

import re
from collections.abc import Sequence

from iac_wrapper.errors import ConfigError
from iac_wrapper.model import app_rules, mesh
from iac_wrapper.model.key import Text

MOST_PORTS = 32

ALIAS = "_tcp"
"""Behind the name of a service that offers TCP ports: by this alias of its Envoy container the
sidecars of its callers know that it does (repeated in runner/sidecar/tcp_names.py)."""

MAX_NAME = 63 - len(ALIAS)

PROTOCOL = "iac-tcp/{port}/{caller}"
"""The application protocol (ALPN) by which the callee's sidecar tells a port from HTTP, and whose
certificate it will demand."""

PORT = "[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]"
"""1 to 65535, as a regular expression."""


def ports() -> Text:
    """One port or a list of them, none twice."""
    number = {
        "type": "integer",
        "minimum": 1,
        "maximum": 65535,
        "not": {"enum": list(mesh.PORTS.values())},
    }
    taken = "|".join(map(str, mesh.PORTS.values()))
    free = rf"^(?!.*\b(?:{taken})\b)"
    one = {"anyOf": [number, {"type": "string", "pattern": f"{free}(?:{PORT})$"}]}
    return Text(
        parse=_parse,
        expected=f"a port or a list of 1 to {MOST_PORTS} different ports",
        schema={
            "anyOf": [
                number,
                {
                    "type": "string",
                    "pattern": rf"{free}(?!.*\b(\d+)\b.*\b\1\b)"
                    f"(?:{PORT})(?: *, *(?:{PORT})){{0,{MOST_PORTS - 1}}}$",
                },
                {
                    "type": "array",
                    "items": one,
                    "minItems": 1,
                    "maxItems": MOST_PORTS,
                    "uniqueItems": True,
                },
            ]
        },
        write=lambda found: f"[{shown(found)}]",
        listed=", ".join,
    )


def shown(found: Sequence[int]) -> str:
    """Ports for people."""
    return ", ".join(map(str, found))


def _parse(text: str) -> tuple[int, ...] | None:
    words = re.split(" *, *", text)
    if len(words) > MOST_PORTS or not all(word.isdecimal() for word in words):
        return None
    found = tuple(map(app_rules.check_port, words))
    return found if len(set(found)) == len(found) else None


def check(name: str, port: int | None, offered: Sequence[int]) -> None:
    """Refuse what cannot be together.

    Raises:
        ConfigError: a port is for HTTP and for TCP, or the service's name is too long.
    """
    if port in offered:
        raise ConfigError(
            f"port {port} cannot be both `port:` and `tcp:`",
            found=f"port: {port} and tcp: [{shown(offered)}]",
            expected="`port:` for HTTP and gRPC, `tcp:` for every other protocol",
            next_step=f"delete `port: {port}` unless the program speaks HTTP there",
        )
    if offered and len(name) > MAX_NAME:
        raise ConfigError(
            "the name of a service with `tcp:` is too long",
            found=f"{name!r}, {len(name)} characters",
            expected=f"at most {MAX_NAME}",
            next_step="give it a shorter `name:`",
        )
