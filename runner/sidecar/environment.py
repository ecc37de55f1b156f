"""What the container is told: a few short variables, checked before anything is done."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass

from runner.listeners import MESH_PORTS
from runner.sidecar.refused import Refused

DEFAULT_APP_UID = 10001

ANY_UID = -1
"""The `app_uid` of an image that is not ours: whatever is not Envoy's is the program's."""

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_UID = re.compile(r"[1-9][0-9]{0,8}")


@dataclass(frozen=True)
class SidecarEnvironment:
    """The environment, checked.

    `uid` is Envoy's, and the supervisor's once it has dropped root; `app_uid` the program's.
    `port` is the program's ``$PORT``, `port_declared` whether repos.yaml names it. `max_headers`
    and `max_headers_kb` (KiB) bound the headers of a request and of a response. A gateway has
    neither service nor port. Of a program without a runner (`app_uid` is `ANY_UID`), `run` is what
    it is for, empty if nothing tells, and `probation` how many seconds it must stay alive.
    """

    role: str
    subnet: str
    uid: int
    project: str
    app_uid: int = DEFAULT_APP_UID
    service: str = ""
    trust_domain: str = ""
    port: int = 0
    port_declared: bool = False
    max_headers: int = 100
    max_headers_kb: int = 60
    run: str = ""
    probation: int = 10


def read_environment(environ: Mapping[str, str]) -> SidecarEnvironment:
    """Check the variables.

    Raises:
        Refused: one is missing or unusable.
    """
    reader = _EnvironmentReader(environ)
    role = reader.one_of("IAC_ROLE", ("sidecar", "gateway"))
    common = SidecarEnvironment(
        role=role,
        subnet=reader.subnet("IAC_SUBNET"),
        uid=reader.uid("IAC_ENVOY_UID"),
        app_uid=reader.uid_or_any("IAC_APP_UID", DEFAULT_APP_UID),
        project=reader.label("IAC_PROJECT"),
    )
    if common.uid == common.app_uid:
        # The app's uid would bypass the redirection.
        raise Refused(f"IAC_ENVOY_UID and IAC_APP_UID are both {common.uid}, expected two uids")
    return common if role == "gateway" else _sidecar(common, reader)


def _sidecar(common: SidecarEnvironment, reader: _EnvironmentReader) -> SidecarEnvironment:
    port = reader.number("IAC_PORT", 1, 65535)
    if port in MESH_PORTS.values():
        raise Refused(f"IAC_PORT is {port}, which is the sidecar's own; choose another port")
    return SidecarEnvironment(
        **{
            **vars(common),
            "service": reader.label("IAC_SERVICE"),
            "trust_domain": reader.label("IAC_TRUST_DOMAIN"),
            "port": port,
            "port_declared": reader.one_of("IAC_PORT_DECLARED", ("0", "1"), "0") == "1",
            "max_headers": reader.number("IAC_MAX_HEADERS", 1, 10_000, 100),
            "max_headers_kb": reader.number("IAC_MAX_HEADERS_KB", 1, 4096, 60),
            "run": reader.one_of("IAC_RUN", ("", "web", "worker", "job")),
            "probation": reader.number("IAC_PROBATION", 1, 86_400, 10),
        }
    )


class _EnvironmentReader:
    """Typed look-ups; an empty value counts as not set."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def one_of(self, name: str, allowed: tuple[str, ...], default: str = "") -> str:
        value = self._environ.get(name) or default
        if value not in allowed:
            raise Refused(f"{name} is {value!r}, expected {' or '.join(allowed)}")
        return value

    def subnet(self, name: str) -> str:
        value = self._environ.get(name, "")
        try:
            ipaddress.IPv4Network(value)
        except ValueError as error:
            raise Refused(f"{name} is {value!r}, expected an IPv4 CIDR ({error})") from None
        return value

    def uid(self, name: str, default: int = 0) -> int:
        value = self._environ.get(name) or str(default)
        if not _UID.fullmatch(value):
            # Root would keep the key readable by exec.
            raise Refused(f"{name} is {value!r}, expected a uid other than 0")
        return int(value)

    def uid_or_any(self, name: str, default: int) -> int:
        return ANY_UID if self._environ.get(name) == "any" else self.uid(name, default)

    def label(self, name: str) -> str:
        value = self._environ.get(name, "")
        if not _LABEL.fullmatch(value):
            raise Refused(f"{name} is {value!r}, expected a DNS label")
        return value

    def number(self, name: str, low: int, high: int, default: int = 0) -> int:
        value = self._environ.get(name) or str(default)
        if not re.fullmatch(r"[0-9]{1,9}", value) or not low <= int(value) <= high:
            raise Refused(f"{name} is {value!r}, expected a whole number from {low} to {high}")
        return int(value)
