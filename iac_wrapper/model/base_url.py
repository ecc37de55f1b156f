"""Rules for the addresses sources come from: https, or http to this machine. No I/O."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from iac_wrapper.errors import ConfigError


def is_loopback(host: str) -> bool:
    """True for ``localhost`` (and names below it) and for loopback addresses."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def origin(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port of `url`: what a token is bound to. The default port is filled in."""
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443, "ssh": 22}.get(parts.scheme)
    return parts.scheme, parts.hostname or "", port


def check_base_url(url: str, *, where: str) -> str:
    """Return `url` without a final slash if code and tokens may travel over it.

    Raises:
        ConfigError: it is not https (or http to this machine), or holds credentials or a query.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host, parts = "", urlsplit("")
    secure = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))
    if secure and host and not (parts.username or parts.password or parts.query or parts.fragment):
        return url.rstrip("/")
    raise ConfigError(
        "bad base URL",
        where=where,
        found=repr(url) if not (parts.username or parts.password) else "a URL with credentials",
        expected="https://host[:port][/path], or http:// to this machine's loopback",
        next_step=f"set {where} in .env or the environment",
    )


def without_credentials(text: str) -> str:
    """`text` without ``user:password@`` after ``://``."""
    return re.sub(r"(?<=://)[^/@]*@", "", text)
