"""`expose:` of repos.yaml: under which addresses a service answers people. Values, no I/O."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

from iac_wrapper.errors import ConfigError
from iac_wrapper.model import forms
from iac_wrapper.model.key import Blocks, Key, Misfit, Text

Tls = Literal["auto", "files", "off"]
"""A certificate that is fetched, one that lies in files, or plain HTTP."""


@dataclass(frozen=True)
class Exposure:
    """One address of a service.

    `host` is a public name; None: ``<service>.localhost`` on this machine's loopback, and then
    nothing else is said. `path` is what a request's path has to be, or to be below. `cert` and
    `key` are paths as written, in a lock relative to the project folder. `redirect`: plain HTTP
    leads to HTTPS. `hsts` is the seconds for which browsers shall remember to use HTTPS, 0: nothing
    is said to them.
    """

    host: str | None = None
    path: str = "/"
    tls: Tls = "auto"
    cert: str | None = None
    key: str | None = None
    redirect: bool = True
    hsts: int = 0

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form of what is not the default."""
        return {
            item.name: value
            for item in fields(self)
            if (value := getattr(self, item.name)) != item.default
        }


Exposures = tuple[Exposure, ...]


def relative_to(exposures: Exposures, base: Path, root: Path) -> Exposures:
    """The same with the paths of certificates, which start from `base`, as seen from `root`; an
    absolute one stays as it is. Both folders are absolute."""

    def seen(path: str | None) -> str | None:
        if path is None or Path(path).is_absolute():
            return path
        return os.path.relpath(base / path, root)

    return tuple(replace(one, cert=seen(one.cert), key=seen(one.key)) for one in exposures)


LOCAL: Exposures = (Exposure(),)
"""What ``expose: true`` says."""


def to_json(exposures: Exposures) -> Any:
    """``true``, or a list of mappings; None for no address."""
    if exposures == LOCAL:
        return True
    return [one.to_dict() for one in exposures] or None


def from_json(said: Any) -> Exposures:
    """What `to_json` wrote.

    Raises:
        TypeError: it did not write that.
    """
    if said is True:
        return LOCAL
    return tuple(Exposure(**one) for one in said or ())


@dataclass(frozen=True)
class Route:
    """An address and the service that has it; `host` is said also where it is local."""

    service: str
    host: str
    exposure: Exposure

    @property
    def is_local(self) -> bool:
        """Whether only this machine's loopback has it."""
        return self.exposure.host is None

    @property
    def address(self) -> str:
        """Host and path, for people."""
        path = self.exposure.path
        return self.host + (path if path != "/" else "")


def routes(apps: Iterable[tuple[str, Exposures]]) -> tuple[Route, ...]:
    """Every address of services, each given with its name, sorted."""
    found = (
        Route(name, one.host or f"{name}.localhost", one)
        for name, exposures in apps
        for one in exposures
    )
    return tuple(sorted(found, key=lambda route: (route.host, route.exposure.path)))


@dataclass(frozen=True)
class PublicPorts:
    """The host's ports: `local` on loopback, None if no service is exposed there."""

    local: int | None = None
    http: int = 80
    https: int = 443


def url_of(route: Route, ports: PublicPorts) -> str:
    """The URL of an address."""
    if route.is_local:
        return f"http://{route.host}:{ports.local}/"
    secure = route.exposure.tls != "off"
    port, usual = (ports.https, 443) if secure else (ports.http, 80)
    scheme, path = "https" if secure else "http", route.exposure.path
    at = "" if port == usual else f":{port}"
    return f"{scheme}://{route.host}{at}{path}" + ("" if path == "/" else "/")


def urls_of(name: str, exposures: Exposures, ports: PublicPorts) -> tuple[str, ...]:
    """The URLs of a service."""
    return tuple(url_of(route, ports) for route in routes([(name, exposures)]))


def check_claims(claims: Sequence[tuple[str, str, Exposures]]) -> None:
    """Refuse what two services, or one twice, cannot both have.

    Args:
        claims: of each service its name, the place where it is written (or nothing), its addresses.

    Raises:
        ConfigError: two have one address, or say different things of one host's certificate.
    """
    places = {name: f"{name} ({where})" if where else name for name, where, _ in claims}
    taken: dict[tuple[str, str], Route] = {}
    certificates: dict[str, Route] = {}
    for route in routes((name, exposures) for name, _, exposures in claims):
        other = taken.setdefault((route.host, route.exposure.path), route)
        if other is not route:
            who = f"{places[other.service]} and {places[route.service]}"
            raise ConfigError(
                f"{route.address} is exposed twice",
                where=next((w for n, w, _ in claims if n == route.service and w), None),
                found=who if other.service != route.service else f"{places[route.service]}, twice",
                expected="one service for each host and path",
                next_step="give one of them another `host:` or `path:` below `expose:`",
            )
        if route.is_local or route.exposure.tls == "off":
            continue
        first = certificates.setdefault(route.host, route)
        if _certificate(first.exposure) != _certificate(route.exposure):
            raise ConfigError(
                f"two certificates for {route.host}",
                where=next((w for n, w, _ in claims if n == route.service and w), None),
                found=f"{_said(first.exposure)} of {places[first.service]},"
                f" {_said(route.exposure)} of {places[route.service]}",
                expected="the same `tls:`, `cert:` and `key:` for every path of a host",
                next_step="make them the same below `expose:`",
            )


_PARTS = ("tls", "cert", "key")


def _certificate(one: Exposure) -> tuple[str | None, ...]:
    return one.tls, one.cert, one.key


def _said(one: Exposure) -> str:
    return ", ".join(f"{n}: {v}" for n, v in zip(_PARTS, _certificate(one), strict=True) if v)


_HOST = r"(?=.{4,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])"
_PATH = r"/|(?!.*/\.\.?(?:/|$))(?:/[A-Za-z0-9._~-]+)+"


def _file() -> Text:
    pattern = r"(?=.*\S)[^\x00-\x1f\x7f]+"
    return forms.pattern(pattern, "a path, relative to the file that says it", 1024)


FIELDS = (
    Key(
        "host",
        forms.pattern(_HOST, "a host name with a dot, in lower case (of an IDN its xn-- form)"),
        "the public name",
        "",
        "app.example.com",
    ),
    Key(
        "path",
        forms.pattern(_PATH, "a path such as /api, without a final slash", 1024),
        "what requests begin with",
        "`/`",
        "/api",
    ),
    Key(
        "tls",
        forms.one_of(*get_args(Tls)),
        "`auto`: fetched by ACME, `files`: `cert` and `key`, `off`: plain HTTP",
        "`auto`",
        "files",
    ),
    Key("cert", _file(), "the certificate chain, PEM", "", "certs/app.pem"),
    Key("key", _file(), "its private key, PEM", "", "certs/app.key"),
    Key("redirect", forms.boolean(), "lead plain HTTP to HTTPS", "`true`", "false"),
    Key(
        "hsts",
        forms.hsts(),
        "seconds for which browsers remember to use HTTPS",
        "`false`",
        "31536000",
    ),
)
"""The keys of a mapping below ``expose:``."""


def _make(said: bool | Sequence[Mapping[str, Any]]) -> Exposures:
    if isinstance(said, bool):
        return LOCAL if said else ()
    return tuple(map(_one, said))


def _one(said: Mapping[str, Any]) -> Exposure:
    if "host" not in said:
        raise Misfit("no host", "host: app.example.com, or `expose: true` for this machine only")
    one = Exposure(**said)
    files = {"cert", "key"} & said.keys()
    if one.tls == "files" and len(files) < 2:
        raise Misfit("tls: files without cert and key", "cert: and key:, the paths of two files")
    if one.tls != "files" and files:
        raise Misfit(f"{min(files)} with tls: {one.tls}", "tls: files, or neither cert nor key")
    if one.tls == "off" and (mute := {"redirect", "hsts"} & said.keys()):
        raise Misfit(f"{min(mute)} with tls: off", "TLS, or neither redirect nor hsts")
    return one


def _write(said: Any) -> str:
    if said is True:
        return "true"
    return "[" + ", ".join(map(_written, said)) + "]"


def _written(one: Mapping[str, Any]) -> str:
    written = {key.name: key.form.write(one[key.name]) for key in FIELDS if key.name in one}
    return "{" + ", ".join(f"{name}: {text}" for name, text in written.items()) + "}"


FORM = Blocks(
    FIELDS,
    make=_make,
    expected="true, or a mapping with host, or a list of these",
    rules=(
        {"required": ["host"]},
        {
            "if": {"required": ["tls"], "properties": {"tls": {"const": "files"}}},
            "then": {"required": ["cert", "key"]},
            "else": {"properties": {"cert": False, "key": False}},
        },
        {
            "if": {"required": ["tls"], "properties": {"tls": {"const": "off"}}},
            "then": {"properties": {"redirect": False, "hsts": False}},
        },
    ),
    write=_write,
)


def local(found: Iterable[Route]) -> Iterator[Route]:
    """Those that only this machine has."""
    return (route for route in found if route.is_local)


def public(found: Iterable[Route]) -> Iterator[Route]:
    """The others."""
    return (route for route in found if not route.is_local)
