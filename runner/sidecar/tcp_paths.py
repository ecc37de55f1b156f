"""Keeps Envoy's files for TCP up to date: own ports, other services, the authorities.

The files are replaced by rename, and Envoy changes only what is another one: connections of all
other chains go on.
"""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from runner import listeners
from runner.listeners import MESH_PORTS, Listener
from runner.sidecar import envoy, offers, tcp_files, threads
from runner.sidecar.egress import Host
from runner.sidecar.environment import SidecarEnvironment
from runner.sidecar.log import say
from runner.sidecar.policy_files import Admission
from runner.sidecar.tcp_files import Tcp
from runner.sidecar.tcp_names import TcpNames

AUTHORITIES = Path("/etc/iac/tls/ca.crt")

LOOK_SECONDS = 0.5
"""Between two looks at own listeners and authorities."""

TAKE_SECONDS = 2.0
"""How long Envoy may take for a change; measured: 5 to 30 ms."""

_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)

_SEEN = (
    r"^(cluster_manager\.(cds\.version_text|warming_clusters)"
    r"|listener_manager\.(lds\.version_text|total_listeners_warming))$"
)


def roots(authorities: Path) -> frozenset[bytes]:
    """The certificates of the file, whatever stands between them; none if it cannot be read."""
    try:
        return frozenset(_CERTIFICATE.findall(authorities.read_bytes()))
    except OSError:
        return frozenset()


def trust(trusted: frozenset[bytes]) -> str:
    """Stands for these authorities."""
    return hashlib.sha256(b"".join(sorted(trusted))).hexdigest()[:16]


def first(
    ports: tuple[int, ...],
    admission: Admission,
    authorities: Path = AUTHORITIES,
    hosts: tuple[Host, ...] = (),
) -> Tcp:
    """What there is before anything was looked at: Envoy tries again while a program starts."""
    own = dict.fromkeys(ports, "127.0.0.1")
    return Tcp(own, admission.tcp(ports), (), trust(roots(authorities)), hosts)


class TcpPaths:
    """Writes the files again and again.

    Args:
        documents: Envoy's template, see `config`.
        ports: the declared ports of this service.
        directory: where Envoy watches them.
        look: the program's listeners now.
        admission: who may call at first.
        authorities: the file with the certificates of those that are trusted.
        hosts: those outside that programs may reach.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what the files depend on
        self,
        documents: Mapping[str, str],
        ports: tuple[int, ...],
        directory: Path,
        look: Callable[[], list[Listener]],
        admission: Admission,
        authorities: Path = AUTHORITIES,
        hosts: tuple[Host, ...] = (),
    ) -> None:
        self._documents, self._ports, self._directory = documents, ports, directory
        self._look, self._authorities = look, authorities
        self._changed = threading.Event()
        self.names = TcpNames(offers.ask, self._changed.set)
        self._seen: list[Listener] = []
        self._version, self._pending = 0, bool(hosts)  # nobody waits for a start without them
        self._trusted = roots(authorities)
        self.current = first(ports, admission, authorities, hosts)
        self._callers = self.current.callers

    def admit(self, admission: Admission) -> None:
        """Let these callers in, and no others."""
        self._callers = admission.tcp(self._ports)
        self._changed.set()

    def admitted(self, admission: Admission) -> bool:
        """Whether Envoy does."""
        return self.current.callers == admission.tcp(self._ports) and not self._pending

    def step(self) -> None:
        """Wait for a change, or a while; write what is new, and see that Envoy has taken it."""
        self._changed.wait(LOOK_SECONDS)
        self._changed.clear()
        wanted = replace(
            self.current,
            own=self._own(),
            callers=self._callers,
            peers=self.names.peers,
            trust=self._trust(),
        )
        if wanted != self.current:
            if wanted.trust != self.current.trust:
                say("an authority was removed: TCP connections end, and prove themselves anew")
            self._version += 1
            self._pending = True
            self._write(wanted)
            self.current = wanted
        if self._pending and self._taken():
            self._pending = False
            self.names.ready(self.current.peers)

    def _trust(self) -> str:
        """Another one when an authority was removed; one more ends no connection."""
        found = roots(self._authorities)
        if not found:  # the file is being replaced
            return self.current.trust
        removed = self._trusted - found
        self._trusted = found
        return trust(found) if removed else self.current.trust

    def _own(self) -> dict[int, str]:
        if not self._ports:
            return {}
        now = self._look()
        if now == self._seen:
            return dict(self.current.own)
        self._seen = now
        found = {port: listeners.address(now, port) for port in self._ports}
        return {port: host or self.current.own[port] for port, host in found.items()}

    def _write(self, wanted: Tcp) -> None:
        for name, text in tcp_files.fill(self._documents, wanted, str(self._version)).items():
            fresh = self._directory / f"{name}.new"
            fresh.write_text(text, encoding="utf-8")
            fresh.replace(self._directory / name)

    def _taken(self) -> bool:
        """Whether Envoy has the newest files, with all that is in them."""
        deadline = time.monotonic() + TAKE_SECONDS
        while time.monotonic() < deadline:
            text = envoy.ask("GET", f"/stats?filter={_SEEN}", self._directory / "admin.sock")
            versions = re.findall(r'version_text: "(\d+)"', text)
            warming = re.findall(r"warming\w*: (\d+)", text)
            if versions == [str(self._version)] * 2 and not any(map(int, warming)):
                return True
            time.sleep(0.005)
        return False


def follow(
    wanted: SidecarEnvironment,
    documents: Mapping[str, str],
    directory: Path,
    admission: Admission,
) -> TcpPaths:
    """Keep the files on a thread that ends with the process."""

    def look() -> list[Listener]:
        return listeners.of_program(wanted.app_uid, without=MESH_PORTS.values())

    hosts = wanted.egress.hosts if wanted.egress else ()
    paths = TcpPaths(documents, wanted.offer.ports, directory, look, admission, hosts=hosts)
    threads.keep(paths.step)
    return paths
