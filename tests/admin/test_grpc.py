"""The gRPC call Deploy over mTLS: only the control plane's own identity, and what it gets."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty

from admin.grpc_server import GrpcServer, _ControlPlane
from admin.jobs.job import Job
from iac_wrapper.adapters import workspace_lock
from iac_wrapper.errors import ConfigError
from iac_wrapper.files.layout import network_name
from iac_wrapper.grpc_pb import controlplane_pb2 as pb
from iac_wrapper.grpc_pb import controlplane_pb2_grpc as pb_grpc
from iac_wrapper.identity.certificates import ensure_ca, ensure_leaf
from iac_wrapper.model.certificate import CONTROL_PLANE
from tests.support.admin_api import PROJECT, Api, admin_api
from tests.support.deployed import leaf
from tests.support.jobs_lab import until

pytestmark = pytest.mark.slow

Stub = Any
SECONDS = 15


@pytest.fixture
def served(api: Api) -> Iterator[GrpcServer]:
    (api.root / "nothing").mkdir()
    server = GrpcServer(api.backend, ("127.0.0.1", 0))
    server.start()
    yield server
    server.stop(0)


@contextmanager
def stub(port: int, folder: Path, *, certificate: bool = True) -> Iterator[Stub]:
    """A client with the certificate in `folder`."""
    ca, key, chain = ((folder / f).read_bytes() for f in ("ca.crt", "tls.key", "tls.crt"))
    pair = (key, chain) if certificate else (None, None)
    options = (("grpc.ssl_target_name_override", CONTROL_PLANE),)
    credentials = grpc.ssl_channel_credentials(ca, *pair)
    with grpc.secure_channel(f"127.0.0.1:{port}", credentials, options) as channel:
        yield pb_grpc.ControlPlaneStub(channel)


def control_plane(api: Api) -> Path:
    return leaf(api.layout, PROJECT, CONTROL_PLANE)


def refusal(call: Callable[[], Any]) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value.code(), caught.value.details()


def deploy(client: Stub, *slugs: str) -> Callable[[], Any]:
    return lambda: client.Deploy(pb.DeployRequest(slugs=slugs), timeout=SECONDS)


def test_a_deploy_that_fails_says_why(api: Api, served: GrpcServer) -> None:
    """The control plane may name local paths. The call waits for the end; the audit knows it."""
    with stub(served.port, control_plane(api)) as client:
        status, details = refusal(deploy(client, "./nothing"))
    job = api.backend.jobs.list()[0]
    assert status == grpc.StatusCode.FAILED_PRECONDITION
    assert details.startswith(f"deployment {job.id} failed: ")
    assert "nothing" in details
    identity = f"spiffe://{network_name(PROJECT)}/{CONTROL_PLANE}"
    assert (job.actor["kind"], job.actor["id"]) == ("certificate", identity)
    line = api.audited(action="deploy", outcome="accepted")
    assert (line["deployment"], line["actor"]["via"]) == (job.id, "grpc")


def test_a_busy_project(api: Api, served: GrpcServer) -> None:
    """ABORTED, so that the caller may come again, with who holds it."""
    with (
        workspace_lock.hold(api.layout.project(PROJECT), "iac deploy"),
        stub(served.port, control_plane(api)) as client,
    ):
        status, details = refusal(deploy(client, "gh:o/r"))
    assert status == grpc.StatusCode.ABORTED
    assert "`iac deploy`" in details
    assert api.audited(action="deploy", outcome="busy")


@pytest.mark.parametrize("slugs", [(), ("no slug",), ("gh:o/r", "gh:p/r"), ("gh:o/r",) * 501])
def test_bad_requests(api: Api, served: GrpcServer, slugs: tuple[str, ...]) -> None:
    """INVALID_ARGUMENT, and no job."""
    with stub(served.port, control_plane(api)) as client:
        status, details = refusal(deploy(client, *slugs))
    assert status == grpc.StatusCode.INVALID_ARGUMENT
    assert "slugs" in details
    assert api.backend.jobs.list() == []


def test_services_may_not_deploy(api: Api, served: GrpcServer) -> None:
    """A leaf of the same CA with another identity: PERMISSION_DENIED, and a line in the audit."""
    with stub(served.port, leaf(api.layout, PROJECT, "web")) as client:
        status, details = refusal(deploy(client, "gh:o/r"))
    assert status == grpc.StatusCode.PERMISSION_DENIED
    assert f"spiffe://{network_name(PROJECT)}/web" in details
    assert api.audited(action="deploy", outcome="wrong-identity")["actor"] is None
    assert api.backend.jobs.list() == []


def test_other_projects_may_not_deploy(api: Api, served: GrpcServer) -> None:
    """Their control plane has the same CA and another trust domain."""
    with stub(served.port, leaf(api.layout, "other", CONTROL_PLANE)) as client:
        assert refusal(deploy(client, "gh:o/r"))[0] == grpc.StatusCode.PERMISSION_DENIED


def test_a_certificate_of_another_ca(api: Api, served: GrpcServer, tmp_path: Path) -> None:
    """With the right identity in it: the handshake fails."""
    theirs = ensure_leaf(
        ensure_ca(tmp_path / "theirs"),
        tmp_path / "theirs" / "leaf",
        name=CONTROL_PLANE,
        trust_domain=network_name(PROJECT),
        owner_uid=os.geteuid(),
    ).directory
    (theirs / "ca.crt").unlink()
    (theirs / "ca.crt").write_bytes((control_plane(api) / "ca.crt").read_bytes())
    with stub(served.port, theirs) as client:
        assert refusal(deploy(client, "gh:o/r"))[0] == grpc.StatusCode.UNAVAILABLE


def test_without_a_certificate(api: Api, served: GrpcServer) -> None:
    """The handshake fails."""
    with stub(served.port, control_plane(api), certificate=False) as client:
        assert refusal(deploy(client, "gh:o/r"))[0] == grpc.StatusCode.UNAVAILABLE


def test_calls_that_are_for_runners(api: Api, served: GrpcServer) -> None:
    """UNIMPLEMENTED here."""
    with stub(served.port, control_plane(api)) as client:
        status, _ = refusal(lambda: client.HealthCheck(Empty(), timeout=SECONDS))
        assert status == grpc.StatusCode.UNIMPLEMENTED
        logs = client.StreamLogs(pb.LogRequest(), timeout=SECONDS)
        assert refusal(lambda: next(logs))[0] == grpc.StatusCode.UNIMPLEMENTED


def test_a_cancelled_deployment(api: Api, served: GrpcServer) -> None:
    """ABORTED; the metadata says which one it is."""
    api.block()
    with stub(served.port, control_plane(api)) as client:
        call = client.Deploy.future(pb.DeployRequest(slugs=["./nothing"]), timeout=SECONDS)
        until(api.backend.jobs.running)
        job = api.backend.jobs.cancel(api.backend.jobs.list()[0].id)
        status, details = refusal(call.result)
        assert ("iac-deployment", job.id) in list(call.initial_metadata())
    assert status == grpc.StatusCode.ABORTED
    assert "cancelled" in details


def test_the_server_stops_while_a_call_waits(api: Api, served: GrpcServer) -> None:
    """UNAVAILABLE at once; the deployment goes on, and says so."""
    api.block()
    with stub(served.port, control_plane(api)) as client:
        call = client.Deploy.future(pb.DeployRequest(slugs=["./nothing"]), timeout=SECONDS)
        until(api.backend.jobs.running)
        going_on = api.backend.close()
        status, details = refusal(call.result)
        assert (status, f"{going_on[0].id} goes on" in details) == (
            grpc.StatusCode.UNAVAILABLE,
            True,
        )
        status, _ = refusal(deploy(client, "gh:o/r"))
        assert status == grpc.StatusCode.UNAVAILABLE


def test_a_caller_that_leaves_frees_its_thread(
    api: Api, served: GrpcServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The deployment goes on without anybody who waits for it."""
    monkeypatch.setattr("admin.grpc_server.WAIT_SECONDS", 0.02)
    entered, waits = threading.Event(), threading.Semaphore(0)
    original = _ControlPlane._wait

    def wait(self: _ControlPlane, job: Job, context: Any) -> Job:
        entered.set()
        try:
            return original(self, job, context)
        finally:
            waits.release()

    monkeypatch.setattr(_ControlPlane, "_wait", wait)
    api.block()
    with stub(served.port, control_plane(api)) as client:
        call = client.Deploy.future(pb.DeployRequest(slugs=["./nothing"]), timeout=SECONDS)
        assert entered.wait(timeout=5)
        call.cancel()
        assert waits.acquire(timeout=5)
    assert api.backend.jobs.running()


def test_an_address_that_is_taken(api: Api, served: GrpcServer) -> None:
    """An error that names the setting."""
    with pytest.raises(ConfigError) as caught:
        GrpcServer(api.backend, ("127.0.0.1", served.port)).start()
    assert caught.value.where == "IAC_ADMIN_GRPC"


def test_the_server_follows_a_rotation(api: Api, served: GrpcServer) -> None:
    """The next handshake shows the new certificate."""
    folder = control_plane(api)
    (folder / "..data").unlink()
    leaf(api.layout, PROJECT, CONTROL_PLANE)
    with stub(served.port, folder) as client:
        assert refusal(deploy(client, "no slug"))[0] == grpc.StatusCode.INVALID_ARGUMENT


def test_a_report_becomes_a_result_per_service(api: Api) -> None:
    """Of an unhealthy deploy as well: who does not serve carries the reason."""
    row = {
        "name": "web",
        "slug": "gh:o/r",
        "commit": None,
        "image": "i",
        "status": "SERVING",
        "phase": "RUNNING",
        "exit_code": None,
        "signal": 0,
        "oom_killed": False,
        "oom_kills": 2,
        "message": "ok",
    }
    bad = {
        **row,
        "name": "jobs",
        "commit": "a" * 40,
        "status": "UNREACHABLE",
        "phase": "UNKNOWN",
        "exit_code": 3,
        "message": "",
    }
    with workspace_lock.hold(api.layout.project(PROJECT), "iac deploy"):
        answer = api.socket().post("/destroy?wait=60", json={"confirm": PROJECT}).json()
        job = api.backend.jobs.cancel(answer["id"])
    job = replace(job, report={"services": [row, bad]}, error={"message": "not all serve"})
    web, jobs = _ControlPlane._result(job, SimpleNamespace()).services
    assert (web.service, web.commit, web.error) == ("web", "", "")
    assert (web.health.status, web.health.phase) == (pb.SERVING, pb.RUNNING)
    assert not web.health.HasField("exit_code")
    assert web.health.oom_kills == 2
    assert (jobs.error, jobs.commit, jobs.health.exit_code) == ("not all serve", "a" * 40, 3)
    assert (jobs.health.status, jobs.health.phase) == (pb.NOT_SERVING, pb.PHASE_UNSPECIFIED)


def test_before_the_start(tmp_path: Path) -> None:
    """UNAVAILABLE until the jobs of an earlier server are taken up."""
    with admin_api(tmp_path, start=False) as api:
        server = GrpcServer(api.backend, ("127.0.0.1", 0))
        server.start()
        with stub(server.port, control_plane(api)) as client:
            assert refusal(deploy(client, "gh:o/r"))[0] == grpc.StatusCode.UNAVAILABLE
        server.stop(0)
