"""What hangs behind a real Envoy is told from what answers: a service, the gateway, the ingress."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial

import grpc
import pytest

from iac_wrapper.grpc_pb import controlplane_pb2_grpc as pb_grpc
from iac_wrapper.identity import handshake
from iac_wrapper.identity.liveness import Unanswered, gateway_unanswered, unanswered
from iac_wrapper.model.exposure import LOCAL, PublicPorts, routes
from iac_wrapper.model.ingress import Ingress
from runner.lifecycle import Lifecycle
from runner.listeners import MESH_PORTS
from runner.log_ring import LogRing
from runner.server import ControlPlaneService
from runner.sidecar import control
from tests.support.envoy_lab import Service
from tests.support.ingress_lab import IngressLab

pytestmark = pytest.mark.integration

TIMEOUT = 1.0
GATEWAY = MESH_PORTS["gateway"]
SNI = "shop-ingress"
HOLDS, CLOSES = "holds", "closes"


@pytest.fixture(name="lab", scope="module")
def fixture_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IngressLab]:
    lab = IngressLab(tmp_path_factory.mktemp("lab"))
    yield lab
    lab.close()


@pytest.fixture(name="gateway", scope="module")
def fixture_gateway(lab: IngressLab) -> Service:
    return lab.service("gateway", role="gateway")


@pytest.fixture(name="web", scope="module")
def fixture_web(lab: IngressLab) -> Service:
    return lab.service("web")


@pytest.fixture(name="ingress", scope="module")
def fixture_ingress(lab: IngressLab) -> Service:
    serves = Ingress("shop", routes([("web", LOCAL)]), PublicPorts(8000, 8080, 8443))
    made = lab.ingress(serves)
    lab.dns.names[SNI] = [made.ip]
    return made


@pytest.fixture(autouse=True)
def _here(gateway: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gateway is not on the machine's own address here."""
    monkeypatch.setattr(handshake, "HOST", gateway.ip)


@contextmanager
def _serving(server: socket.socket, how: str) -> Iterator[None]:
    """Takes connections, and says nothing on them."""
    server.listen()
    kept = []

    def accept() -> None:
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            if how == HOLDS:
                kept.append(client)
            else:
                client.close()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()


@contextmanager
def _pid_1(service: Service, how: str) -> Iterator[None]:
    """Another PID 1 in place of the one that answers; empty: none."""
    path = service.run / control.SOCKET
    path.unlink(missing_ok=True)
    if not how:
        yield
        return
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        with _serving(server, how):
            yield
    path.unlink()


@contextmanager
def _runner(web: Service) -> Iterator[None]:
    """A runner that answers."""
    server = grpc.server(ThreadPoolExecutor(max_workers=2))
    server.add_insecure_port(f"{web.ip}:{MESH_PORTS['runner']}")
    servicer = ControlPlaneService(Lifecycle(10), LogRing(), "web")
    pb_grpc.add_ControlPlaneServicer_to_server(servicer, server)
    server.start()
    try:
        yield
    finally:
        server.stop(0).wait()


def _web(lab: IngressLab) -> Unanswered | None:
    return unanswered(GATEWAY, "web", lab.leaf("control-plane"), has_runner=True, timeout=TIMEOUT)


MISSED = ((HOLDS, False), (CLOSES, True), ("", True))
"""How a part does not answer, and whether that is a closed connection."""


def test_a_runner_that_does_not_answer(lab: IngressLab, web: Service) -> None:
    """Envoy says that it is unavailable, which is no answer of the runner."""
    for how in (HOLDS, CLOSES):
        with socket.socket() as server:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind((web.ip, MESH_PORTS["runner"]))
            with _serving(server, how):
                assert _web(lab) == Unanswered("app", closed=how == CLOSES)
    assert _web(lab) == Unanswered("app", closed=True)
    with _runner(web):
        assert _web(lab) is None


def test_an_envoy_that_does_not_answer(lab: IngressLab, web: Service) -> None:
    """It takes connections, as the kernel does that."""
    os.kill(web.process.pid, signal.SIGSTOP)
    try:
        assert _web(lab) == Unanswered("handshake")
    finally:
        os.kill(web.process.pid, signal.SIGCONT)


def test_a_pid_1_that_does_not_answer(lab: IngressLab, ingress: Service, gateway: Service) -> None:
    """Of the ingress, over mTLS, and of the gateway, which has no key."""
    tls = lab.leaf("control-plane")
    ask = partial(unanswered, GATEWAY, "ingress", has_runner=False, timeout=TIMEOUT, sni=SNI)
    for how, closed in MISSED:
        with _pid_1(ingress, how):
            assert ask(tls_dir=tls) == Unanswered("envoy", closed=closed)
        with _pid_1(gateway, how):
            assert gateway_unanswered(GATEWAY, timeout=TIMEOUT) == Unanswered("envoy", closed)
    for service in (ingress, gateway):
        control.serve(service.run / control.SOCKET, {})
    assert ask(tls_dir=tls) is None
    assert gateway_unanswered(GATEWAY, timeout=TIMEOUT) is None


def test_nobody_else_reaches_them(lab: IngressLab, ingress: Service, gateway: Service) -> None:
    """The ingress's PID 1 answers the control plane, the gateway's the host, and one page alone."""
    control.serve(ingress.run / control.SOCKET, {})
    control.serve(gateway.run / control.SOCKET, {})
    for name in ("web", "operator", "ingress"):
        missed = unanswered(
            GATEWAY, "ingress", lab.leaf(name), has_runner=False, timeout=TIMEOUT, sni=SNI
        )
        assert missed == Unanswered("handshake", closed=True)
    host = http.client.HTTPConnection(gateway.ip, GATEWAY, timeout=TIMEOUT)
    for path in ("/", "/iac.sidecar/policy", "/iac.sidecar"):
        host.request("GET", path)
        answer = host.getresponse()
        assert (answer.status, answer.read()) == (404, b"")
    host.close()
    with socket.create_connection((gateway.ip, GATEWAY), TIMEOUT, (ingress.ip, 0)) as elsewhere:
        elsewhere.sendall(b"GET /iac.sidecar/ HTTP/1.1\r\nHost: gateway\r\n\r\n")
        with suppress(ConnectionError):
            assert elsewhere.recv(1) == b""
