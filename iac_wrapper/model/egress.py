"""The key ``egress``: what a service may reach outside of its project. Values, no I/O."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

from iac_wrapper.model import tcp
from iac_wrapper.model.key import Misfit, Text

VARIABLE = "IAC_EGRESS"
"""The variable of a sidecar with the destinations (read by runner/sidecar/egress.py)."""

DENY = "deny"

PORTS = (443, 80)
"""What a host without a port means."""

MOST = 64
"""Destinations of one service."""

MAX_NAME = 253
"""Characters of a host name (RFC 1035, 2.3.4)."""

_LOOPBACK = ipaddress.IPv4Network("127.0.0.0/8")
_NAME = r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?"
_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_NETWORK = rf"{_OCTET}(?:\.{_OCTET}){{3}}(?:/(?:3[0-2]|[12]?[0-9]))?"
_ONE = rf"(?:{_NAME}|{_NETWORK})(?::(?:{tcp.PORT}))?"

_EXPECTED_ONE = (
    "a host name with a dot, in lower case, or an IPv4 address or network, with `:PORT` if that is"
    " the only one (api.example.com, db.example.com:5432, 10.0.0.0/8)"
)


def destinations() -> Text:
    """``deny``, which is the empty tuple, or up to `MOST` destinations, each once."""
    return Text(
        parse=_parse,
        expected="`deny`, or a list of hosts and IPv4 addresses, such as [api.example.com,"
        f" db.example.com:5432, 10.0.0.0/8]; at most {MOST}",
        schema={
            "anyOf": [
                {"type": "string", "pattern": rf"^(?:deny|{_ONE}(?: *, *{_ONE}){{0,{MOST - 1}}})$"},
                {
                    "type": "array",
                    "items": {"type": "string", "pattern": f"^{_ONE}$"},
                    "minItems": 1,
                    "maxItems": MOST,
                },
            ]
        },
        write=lambda found: f"[{', '.join(found)}]" if found else DENY,
        listed=", ".join,
    )


def _parse(text: str) -> tuple[str, ...] | None:
    if text == DENY:
        return ()
    words = re.split(" *, *", text)
    if not text or len(words) > MOST:
        return None
    return tuple(dict.fromkeys(map(_one, words)))


def _one(text: str) -> str:
    """A destination in the one form that the sidecar reads.

    Raises:
        Misfit: it is none.
    """
    if not re.fullmatch(_ONE, text):
        raise Misfit(text, _EXPECTED_ONE)
    place, colon, port = text.partition(":")
    if is_name(place):
        if len(place) > MAX_NAME:
            raise Misfit(text, f"a host name of at most {MAX_NAME} characters")
        return text
    network = ipaddress.IPv4Network(place, strict=False)
    if str(network.network_address) != place.partition("/")[0]:
        raise Misfit(text, f"{network}, the network that this address is in")
    if network.subnet_of(_LOOPBACK):
        raise Misfit(text, "an address outside of the container; loopback never leaves it")
    return str(network).removesuffix("/32") + colon + port


def shown(found: Sequence[str]) -> str:
    """Destinations for people."""
    return ", ".join(found) or "nothing"


def is_name(place: str) -> bool:
    """Whether a destination without its port is a host name."""
    return re.fullmatch(_NAME, place) is not None


def covers(allowed: str, host: str, port: int) -> bool:
    """Whether the destination `allowed` takes in TCP to `host`, a name or an address."""
    place, _, only = allowed.partition(":")
    if is_name(place):
        return place == host and port in ((int(only),) if only else PORTS)
    try:
        inside = ipaddress.IPv4Address(host) in ipaddress.IPv4Network(place)
    except ValueError:
        return False
    return inside and only in ("", str(port))
