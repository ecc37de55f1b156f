"""What the container is told: a few short variables, checked before anything is done."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from runner.listeners import MESH_PORTS
from runner.sidecar import egress as egresses
from runner.sidecar import policy as policies
from runner.sidecar.egress import Egress
from runner.sidecar.offers import Offer
from runner.sidecar.policy import Policy
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
    and `max_headers_kb` (KiB) bound the headers of a request and of a response. `offer` is what
    other services may call, `policy` who they are. Of a program without a runner
    (`app_uid` is `ANY_UID`), `run` is what it is for, empty if nothing tells, and `probation` how
    many seconds it must stay alive. A gateway has neither service nor port; an ingress has the
    `entrances`, the ports at which people reach it. An operator's `service` is the one that it
    leads to, from `local_port` of the host; `tcp_port` is the port there where that is no HTTP
    (0: it is). `runner_uid` is the uid of the program's runner (0: it has none); `stop_grace` is
    how many seconds requests in flight may take when either container is stopped. `egress` is what
    the program may reach outside of the project, None: everything.
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
    offer: Offer = field(default_factory=Offer)
    policy: Policy = field(default_factory=Policy)
    entrances: tuple[int, ...] = ()
    local_port: int = 0
    tcp_port: int = 0
    runner_uid: int = 0
    stop_grace: int = 8
    egress: Egress | None = None

    @property
    def host(self) -> str:
        """Where what comes from the machine itself comes from: Docker shows it as the bridge."""
        return str(ipaddress.IPv4Network(self.subnet)[1])

    @property
    def template(self) -> str:
        """The name of the configuration to fill in."""
        return "operator-tcp" if self.tcp_port else self.role


def read_environment(environ: Mapping[str, str]) -> SidecarEnvironment:
    """Check the variables.

    Raises:
        Refused: one is missing or unusable.
    """
    reader = _EnvironmentReader(environ)
    role = reader.one_of("IAC_ROLE", ("sidecar", "gateway", "operator", "ingress"))
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
    if role == "operator":
        return _operator(common, reader)
    if role == "ingress":
        return replace(
            common,
            trust_domain=reader.label("IAC_TRUST_DOMAIN"),
            entrances=reader.entrances("IAC_INGRESS_PORTS"),
        )
    return common if role == "gateway" else _sidecar(common, reader)


def _operator(common: SidecarEnvironment, reader: _EnvironmentReader) -> SidecarEnvironment:
    local_port = reader.number("IAC_LOCAL_PORT", 1, 65535)
    tcp_port = reader.number("IAC_TCP_PORT", 0, 65535)
    return replace(_of_service(common, reader), local_port=local_port, tcp_port=tcp_port)


def _sidecar(common: SidecarEnvironment, reader: _EnvironmentReader) -> SidecarEnvironment:
    port = reader.number("IAC_PORT", 1, 65535)
    if port in MESH_PORTS.values():
        raise Refused(f"IAC_PORT is {port}, which is the sidecar's own; choose another port")
    return replace(
        _of_service(common, reader),
        port=port,
        port_declared=reader.one_of("IAC_PORT_DECLARED", ("0", "1"), "0") == "1",
        policy=reader.policy("IAC_POLICY"),
        offer=Offer(reader.ports("IAC_TCP"), reader.one_of("IAC_TCP_ONLY", ("0", "1"), "0") == "0"),
        run=reader.one_of("IAC_RUN", ("", "web", "worker", "job")),
        probation=reader.number("IAC_PROBATION", 1, 86_400, 10),
        runner_uid=reader.uid("IAC_RUNNER_UID") if reader.has("IAC_RUNNER_UID") else 0,
        stop_grace=reader.number("IAC_STOP_GRACE", 1, 86_400, 8),
        egress=reader.egress("IAC_EGRESS") if reader.has("IAC_EGRESS") else None,
    )


def _of_service(common: SidecarEnvironment, reader: _EnvironmentReader) -> SidecarEnvironment:
    return replace(
        common,
        service=reader.label("IAC_SERVICE"),
        trust_domain=reader.label("IAC_TRUST_DOMAIN"),
        max_headers=reader.number("IAC_MAX_HEADERS", 1, 10_000, 100),
        max_headers_kb=reader.number("IAC_MAX_HEADERS_KB", 1, 4096, 60),
    )


class _EnvironmentReader:
    """Typed look-ups; an empty value counts as not set."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def has(self, name: str) -> bool:
        return bool(self._environ.get(name))

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

    def entrances(self, name: str) -> tuple[int, ...]:
        value = self._environ.get(name, "")
        if not re.fullmatch(r"[1-9][0-9]{3,4}(,[1-9][0-9]{3,4})*", value):
            # Below 1024 Envoy, which is not root, could not listen.
            raise Refused(f"{name} is {value!r}, expected ports from 1024, separated by commas")
        return tuple(map(int, value.split(",")))

    def number(self, name: str, low: int, high: int, default: int = 0) -> int:
        value = self._environ.get(name) or str(default)
        if not re.fullmatch(r"[0-9]{1,9}", value) or not low <= int(value) <= high:
            raise Refused(f"{name} is {value!r}, expected a whole number from {low} to {high}")
        return int(value)

    def ports(self, name: str) -> tuple[int, ...]:
        """Numbers of ports, with commas between them."""
        value = self._environ.get(name, "")
        found = tuple(int(each) for each in value.split(",") if each.isdecimal())
        good = all(0 < port < 65536 and port not in MESH_PORTS.values() for port in found)
        if not good or ",".join(map(str, found)) != value:
            raise Refused(f"{name} is {value!r}, expected ports that are not the sidecar's own")
        return found

    def egress(self, name: str) -> Egress:
        """Destinations, see `egress`."""
        try:
            return egresses.read(self._environ[name])
        except Refused as error:
            raise Refused(f"{name}: {error}") from None

    def policy(self, name: str) -> Policy:
        """A document, see `policy`."""
        try:
            return policies.read(self._environ.get(name, ""))
        except Refused as error:
            raise Refused(f"{name}: {error}") from None
