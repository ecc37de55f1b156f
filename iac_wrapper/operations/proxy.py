"""A person's way to services: a loopback port here, mTLS as the operator behind it.

Each way is a container of the sidecar's image on the project's network. It ends with this process,
however that ends; its key goes there through its standard input and is nowhere else.
"""

from __future__ import annotations

import secrets
import select
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

from iac_wrapper.adapters.attached_container import AttachedContainer
from iac_wrapper.adapters.engine import free_port, port_is_free
from iac_wrapper.errors import CertificateError, CommandError, ConfigError
from iac_wrapper.files import users_file
from iac_wrapper.files.layout import container_name
from iac_wrapper.identity import issuers, operator
from iac_wrapper.identity.sidecar_policy import SidecarError
from iac_wrapper.model import labels
from iac_wrapper.model.app import ResolvedApp
from iac_wrapper.model.lock import LockFile
from iac_wrapper.model.operator_container import OperatorContainer
from iac_wrapper.model.repos_keys import IDLE
from iac_wrapper.model.users import GATEWAY
from iac_wrapper.model.way import Way, tcp_port
from iac_wrapper.operations import parked, policy
from iac_wrapper.operations.workspace import Workspace

START_SECONDS = 20.0
"""How long a way may take to answer; it takes half a second where nothing else is going on."""

LEASE_SECONDS = 60
"""For how long a service lets the operator in; a command that runs renews it."""

RENEW_SECONDS = 5.0
"""After so long: a sidecar that was replaced meanwhile does not know of the lease."""

RETRY_SECONDS = 300.0
"""After so long a leaf that could not be issued is asked for again."""

READY = "iac-ready"
"""The line by which it says so (runner/sidecar/start.py)."""


@dataclass(frozen=True)
class OpenWay:
    """A way that answers: `tcp_port` is the service's where it is no HTTP."""

    service: str
    local_port: int
    tcp_port: int | None

    @property
    def address(self) -> str:
        """What a person types."""
        at = f"localhost:{self.local_port}"
        return at if self.tcp_port else f"http://{at}/"


class Ways:
    """The ways that are open, as long as `open_ways` is not left."""

    def __init__(self, workspace: Workspace, lock: LockFile) -> None:
        self.open: list[OpenWay] = []
        self._workspace, self._lock = workspace, lock
        self._containers: list[AttachedContainer] = []
        self._renewed = time.monotonic()
        secrets_folder, command = workspace.layout.secrets, workspace.settings.cert_command
        self._issuer = issuers.deployed_issuer(secrets_folder, command)
        self._trusted = b""
        self._sidecars = policy.sidecars(workspace.layout, lock)

    def add(self, way: OpenWay, container: AttachedContainer) -> None:
        """Take one in, hand it a leaf and wait until it answers.

        Raises:
            CommandError: it does not.
        """
        container.send(self._leaf())
        self._lend(way.service)
        deadline = time.monotonic() + START_SECONDS
        while READY not in container.output.splitlines():
            left = deadline - time.monotonic()
            ready, _, _ = select.select([container], [], [], max(0.0, left))
            if not ready or not container.receive():
                raise _ended(way, container)
        self._containers.append(container)
        self.open.append(way)

    def wait(self) -> None:
        """Keep them open and their leaves fresh, until one ends.

        Raises:
            CommandError: one did, as when the project is destroyed.
        """
        while True:
            ready, _, _ = select.select(self._containers, [], [], RENEW_SECONDS)
            for way, container in zip(self.open, self._containers, strict=True):
                if container in ready and not container.receive():
                    raise _ended(way, container)
            for service in {way.service for way in self.open}:
                self._lend(service)
            if self._is_due():
                self._renew()

    def _renew(self) -> None:
        """New leaves for all. An issuer that fails ends no way: those of before are still good."""
        self._renewed = time.monotonic()
        try:
            for container in self._containers:
                container.send(self._leaf())
        except CertificateError as error:
            self._workspace.warn(str(error))
            self._renewed -= operator.RENEW_SECONDS - RETRY_SECONDS

    def _is_due(self) -> bool:
        with suppress(CertificateError):  # said when a leaf is issued
            if self._issuer.trusted != self._trusted:
                return True
        return time.monotonic() > self._renewed + operator.RENEW_SECONDS

    def _lend(self, service: str) -> None:
        """One that is down is asked again; one of an earlier version lets every operator in."""
        with suppress(SidecarError):
            self._sidecars.lend(service, LEASE_SECONDS)

    def _leaf(self) -> bytes:
        self._trusted = self._issuer.trusted
        return operator.handover(self._issuer, self._lock.trust_domain)


@contextmanager
def open_ways(workspace: Workspace, wanted: Sequence[Way]) -> Iterator[Ways]:
    """Open ways to services; leaving the block ends them.

    Raises:
        ConfigError: nothing is deployed, no such service or port, or a local port is in use.
        CertificateError: the CA cannot be used.
        CommandError: the engine refused, or a way does not answer.
    """
    lock = workspace.deployed_lock()
    chosen = [(_find_service(workspace, lock, way.service), way) for way in wanted]
    plans = [_planned(app, way) for app, way in chosen]
    ways = Ways(workspace, lock)
    with ExitStack() as stack:
        for plan in plans:
            container = _start(workspace, lock, plan)
            stack.callback(container.end)
            ways.add(plan, container)
        yield ways


def _find_service(workspace: Workspace, lock: LockFile, name: str) -> ResolvedApp:
    for app in lock.apps:
        if app.name == name:
            return app
    raise parked.unknown_service(workspace, name, [app.name for app in lock.apps])


def find_web(workspace: Workspace, lock: LockFile, name: str) -> ResolvedApp:
    """A deployed service that can be looked at in a browser.

    Raises:
        ConfigError: there is none of that name, or it has nothing that speaks HTTP.
    """
    app = _find_service(workspace, lock, name)
    if port := tcp_port(app, None):
        raise ConfigError(
            f"{name} is reached by its TCP ports, not by a browser",
            found=f"tcp: {', '.join(map(str, app.options.tcp))}",
            next_step=f"iac proxy {name}:{port}",
        )
    return app


def _planned(app: ResolvedApp, way: Way) -> OpenWay:
    port = tcp_port(app, way.port)
    if not port and app.run in IDLE:
        raise ConfigError(
            f"{app.name} gets no requests",
            found=f"a {app.run}, by `run:` or by what was found to run",
            expected="a service that listens",
            next_step=f"iac logs {app.name} shows what it does",
        )
    local = way.local or free_port()
    if not port_is_free(local):
        raise ConfigError(
            f"port {local} on 127.0.0.1 is in use",
            found="another program listens there",
            next_step=f"iac proxy {way.service} (takes a free port);"
            f" `ss -ltnp 'sport = :{local}'` shows who listens",
        )
    return OpenWay(app.name, local, port)


def _start(workspace: Workspace, lock: LockFile, way: OpenWay) -> AttachedContainer:
    settings, project = workspace.settings, workspace.project
    wanted = OperatorContainer(
        project=project,
        service=way.service,
        image=workspace.host.sidecar_image,
        # The gateway has no program: its program's uid is nobody else's.
        uid=users_file.load_users(workspace.layout.users(project))[GATEWAY].program,
        network=lock.network,
        subnet=lock.subnet,
        trust_domain=lock.trust_domain,
        local_port=way.local_port,
        tcp_port=way.tcp_port,
        max_headers=settings.max_headers,
        max_headers_kb=settings.max_headers_kb,
    )
    name = f"{container_name(project, way.service, labels.OPERATOR)}-{secrets.token_hex(4)}"
    return AttachedContainer(workspace.engine, name, wanted.body())


def _ended(way: OpenWay, container: AttachedContainer) -> CommandError:
    return CommandError(
        f"the way to {way.service} has ended",
        detail=container.output,
        next_step="iac status (is the project still there?), then run the command again",
    )
