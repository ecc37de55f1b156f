"""A project as a finished deploy leaves it on disk, and a real service of it that answers.

Files come from the same code as in a deploy; the service is the runner's own, over mTLS, on the
port where the lock says the gateway is. No engine, no Terraform.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from iac_wrapper.files import lock_file
from iac_wrapper.files.layout import Layout, network_name
from iac_wrapper.grpc_pb import controlplane_pb2_grpc as pb_grpc
from iac_wrapper.identity.certificates import ensure_ca, ensure_leaf
from iac_wrapper.model.app import ResolvedApp
from iac_wrapper.model.certificate import CONTROL_PLANE
from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.model.lock import LockFile
from runner.lifecycle import Lifecycle
from runner.log_ring import LogRing
from runner.readiness_verdict import ReadinessVerdict
from runner.server import ControlPlaneService


def app(name: str, slug: str = "gh:owner/repo") -> ResolvedApp:
    """A locked app."""
    return ResolvedApp(
        name=name,
        slug=slug,
        commit="a" * 40,
        tree="sha256:" + "b" * 64,
        entrypoint=Entrypoint("script", "main.py", None, "main.py at the top"),
        port=50051,
        port_declared=False,
        env={},
        python="3.11",
        base="iac/runtime:3.11-0123456789ab",
        image=f"iac/demo-{name}:0123456789ab",
    )


def deployed(
    layout: Layout,
    *apps: ResolvedApp,
    project: str = "demo",
    gateway_port: int = 1,
    stopped: Collection[str] = (),
) -> LockFile:
    """Write the state of `project`, and the certificates of its apps and of the control plane; a
    person stopped those whose names are `stopped`."""
    network = network_name(project)
    lock = LockFile(project, network, "172.20.0.0/16", gateway_port, apps)
    lock = lock.parking(stopped) if stopped else lock
    for name in (CONTROL_PLANE, *(one.name for one in apps)):
        leaf(layout, project, name)
    state = layout.state(project)  # last: who finds it may look at the rest
    state.parent.mkdir(parents=True, exist_ok=True)
    outputs = {lock_file.LOCK_OUTPUT: {"value": lock_file.dump(lock)}}
    state.write_text(json.dumps({"outputs": outputs if apps else {}}))
    return lock


def leaf(layout: Layout, project: str, name: str) -> Path:
    """The certificate folder of a service, issued if need be."""
    return ensure_leaf(
        ensure_ca(layout.secrets),
        layout.certificates(project) / name,
        name=name,
        trust_domain=network_name(project),
        owner_uid=os.geteuid(),
    ).directory


@dataclass
class Service:
    """A running service: the port that stands for the gateway, and its runner's state."""

    port: int
    lifecycle: Lifecycle = field(default_factory=lambda: Lifecycle(10))

    def serving(self) -> None:
        """Make it SERVING."""
        self.lifecycle.judged(self.lifecycle.started(), ReadinessVerdict(True, "accepts"), 1.0)


@contextmanager
def service(layout: Layout, name: str, *, project: str = "demo") -> Iterator[Service]:
    """Answer as service `name` of `project` while the block runs; without clients' certificates
    nobody gets in."""
    folder = leaf(layout, project, name)
    ca, key, chain = ((folder / f).read_bytes() for f in ("ca.crt", "tls.key", "tls.crt"))
    credentials = grpc.ssl_server_credentials([(key, chain)], ca, require_client_auth=True)
    server = grpc.server(ThreadPoolExecutor(max_workers=4))
    found = Service(server.add_secure_port("127.0.0.1:0", credentials))
    servicer = ControlPlaneService(found.lifecycle, LogRing(), name)
    pb_grpc.add_ControlPlaneServicer_to_server(servicer, server)
    server.start()
    try:
        yield found
    finally:
        server.stop(0).wait()
