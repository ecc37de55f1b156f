"""The forms that values of settings have: from text to what code reads, or a ConfigError."""

from __future__ import annotations

import ipaddress
import re
from datetime import timedelta
from pathlib import Path

from iac_wrapper.errors import ConfigError
from iac_wrapper.model import webhook
from iac_wrapper.model.base_url import check_base_url, is_loopback
from iac_wrapper.model.environment import ENVIRONMENT, project_of
from iac_wrapper.model.key import Misfit
from iac_wrapper.settings.setting import Form, T, bad_setting


def text(value: str, name: str) -> str:
    """Any text."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ConfigError(
            "bad setting",
            where=name,
            found=f"a byte that is not UTF-8, at position {error.start + 1}",  # it may be secret
            expected="text",
            next_step=f"set {name} in .env or the environment",
        ) from None
    return value


def whole_number(low: int, high: int, *, unit: int = 1) -> Form[int]:
    """A number from `low` to `high`, times `unit`."""

    def form(value: str, name: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", value) or not low <= int(value) <= high:
            raise bad_setting(value, name, f"a whole number from {low} to {high}")
        return int(value) * unit

    return form


_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 24 * 3600}


def duration(low: timedelta, high: timedelta) -> Form[timedelta]:
    """A number of seconds, minutes, hours or days (``30s``, ``12h``, ``90d``) within the bounds."""

    def form(value: str, name: str) -> timedelta:
        found = re.fullmatch(r"([0-9]{1,9})([smhd])", value)
        length = timedelta(seconds=int(found[1]) * _SECONDS[found[2]]) if found else None
        if length is None or not low <= length <= high:
            bounds = f"{low.total_seconds():.0f}s to {high.days}d"
            raise bad_setting(value, name, f"a duration such as 30s, 12h or 90d, from {bounds}")
        return length

    return form


def one_of(*allowed: str) -> Form[str]:
    """One of these words."""

    def form(value: str, name: str) -> str:
        if value not in allowed:
            raise bad_setting(value, name, "one of " + ", ".join(allowed))
        return value

    return form


def switch(value: str, name: str) -> bool:
    """``1`` or ``0``."""
    return one_of("0", "1")(value, name) == "1"


def optional(inner: Form[T], *, none: str = "") -> Form[T | None]:
    """None for the text `none`, else `inner`."""
    return lambda value, name: None if value == none else inner(value, name)


def words(value: str, _name: str) -> tuple[str, ...]:
    """Words separated by commas, as written."""
    return _split(value, ",")


def folder(value: str, name: str) -> Path:
    """An absolute folder; ``~`` is the home folder."""
    path = Path(value).expanduser()
    if not path.is_absolute():
        raise bad_setting(value, name, "an absolute path")
    return path


def folders(value: str, name: str) -> tuple[Path, ...]:
    """Absolute folders separated by colons."""
    paths = tuple(Path(item).expanduser() for item in _split(value, ":"))
    if not all(path.is_absolute() for path in paths):
        raise bad_setting(value, name, "absolute paths, separated by colons")
    return paths


def subnet(value: str, name: str) -> str:
    """A private network in CIDR form."""
    expected = "a private IPv4 network of at least 16 addresses in CIDR form"
    try:
        network = ipaddress.IPv4Network(value)
    except ValueError as error:
        raise bad_setting(value, name, f"{expected} ({error})") from None
    if network.prefixlen > 28 or not network.is_private:
        raise bad_setting(value, name, expected)
    return str(network)


def addresses(value: str, name: str) -> tuple[str, ...]:
    """IP addresses separated by commas."""
    try:
        found = tuple(str(ipaddress.ip_address(item)) for item in _split(value, ","))
    except ValueError as error:
        raise bad_setting(value, name, f"IP addresses, separated by commas ({error})") from None
    return tuple(dict.fromkeys(found))


def networks(value: str, name: str) -> tuple[str, ...]:
    """Networks in CIDR form, or addresses, separated by commas."""
    try:
        return tuple(str(ipaddress.ip_network(item)) for item in _split(value, ","))
    except ValueError as error:
        expected = f"networks such as 192.0.2.0/24, separated by commas ({error})"
        raise bad_setting(value, name, expected) from None


def loopback(value: str, name: str) -> tuple[str, int]:
    """``host:port``; anything but loopback would carry tokens over a network in clear."""
    host, _, port = value.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not is_loopback(host) or not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535:
        expected = "127.0.0.1:PORT or [::1]:PORT; a TLS proxy may stand before it"
        raise bad_setting(value, name, expected)
    return host, int(port)


def otlp_url(value: str, name: str) -> str:
    """The address of an OTLP receiver, or nothing."""
    if value and not re.fullmatch(r"https?://[^/\s]+(/\S*)?", value):
        raise bad_setting(value, name, "http://host:4318 or https://…")
    return value


def base_url(value: str, name: str) -> str:
    """An address without a final slash over which tokens may travel, or nothing."""
    return check_base_url(value, where=name) if value else ""


def webhook_url(value: str, name: str) -> str:
    """The address of a receiver of notifications, or nothing; what may be a token in it stays out
    of the error."""
    if value and not re.fullmatch(r"https?://[^/\s]+(/\S*)?", value):
        raise bad_setting("…", name, "https://host/path")
    return value


SECRET = f"{webhook.PREFIX} and base64 of {webhook.FEWEST_BYTES} to {webhook.MOST_BYTES} bytes"
"""Form of a secret of notifications, in words."""

SECRET_STEP = f"make one for .env and the receiver: echo {webhook.PREFIX}$(openssl rand -base64 32)"
"""How to get one."""


def webhook_secret(value: str, name: str) -> bytes:
    """The bytes of a secret, or none; what it is stays out of the error."""
    key = webhook.key_of(value) if value else b""
    if key is None:
        raise ConfigError(
            "bad setting",
            where=name,
            found="another text",
            expected=SECRET,
            next_step=SECRET_STEP,
        )
    return key


def email(value: str, name: str) -> str:
    """One e-mail address, or nothing."""
    if value and not re.fullmatch(r"[^\s@,?]+@[^\s@,?]+", value):
        raise bad_setting(value, name, "one address, you@example.com")
    return value


def base64url(value: str, name: str) -> str:
    """Octets as base64url (RFC 4648, 5), or nothing; what it is stays out of the error."""
    if not re.fullmatch(r"[A-Za-z0-9_-]*=*", value):
        raise bad_setting("…", name, "base64url: letters, digits, '-' and '_'")
    return value


def project(value: str, name: str) -> str:
    """A project's name."""
    return check_project(value, where=name)


def check_project(name: str, *, where: str) -> str:
    """Return `name` if it can name a project, a network and containers.

    Raises:
        ConfigError: it is not a DNS label of at most 32 octets, or it is ``build`` (the folder of
            build secrets beside the projects' certificates).
    """
    if re.fullmatch(r"[a-z](?:[a-z0-9-]{0,30}[a-z0-9])?", name) and name != "build":
        return name
    raise ConfigError(
        "bad project name",
        where=where,
        found=repr(name),
        expected="1 to 32 of a-z, 0-9 and '-', starting with a letter, not ending with '-',"
        " not build",
        next_step=f"choose another name, for instance --project {project_like(name)}",
    )


def check_environment(project: str, environment: str) -> str:
    """The name of the project that is `environment` of `project`.

    Raises:
        ConfigError: `environment` can be no name of one, or the two are too long together.
    """
    try:
        return check_project(project_of(project, ENVIRONMENT.read(environment)), where="--env")
    except Misfit as misfit:
        raise ConfigError(
            "bad name of an environment",
            where="--env",
            found=repr(environment),
            expected=misfit.expected,
            next_step="name one of the file's `environments:`",
        ) from None
    except ConfigError as error:
        error.next_step = "choose a shorter --project, or a shorter name for the environment"
        raise


def project_like(name: str) -> str:
    """A name that `check_project` takes, as near to `name` as can be."""
    bent = re.sub(r"[^a-z0-9]+", "-", name.lower()).lstrip("-0123456789")[:32].strip("-")
    return bent if bent and bent != "build" else "myshop"


def _split(value: str, separator: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in value.split(separator) if item.strip())
