"""Another authority under load, made here and by step-ca, whose first build takes minutes.

Real Envoys without Terraform; operations see them as a deployed project. The tests run in order.
"""

from __future__ import annotations

import shutil
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography import x509

from iac_wrapper.identity import handshake
from iac_wrapper.identity.certificates import inspect_leaf
from iac_wrapper.identity.http2_client import Http2Client
from iac_wrapper.identity.issuers import NEXT
from iac_wrapper.operations import ca_rotation, certs
from tests.reliability.conftest import Record
from tests.support import certs_lab
from tests.support.certs_lab import Project
from tests.support.mesh_lab import eventually
from tests.support.step_ca import step_ca

pytestmark = [pytest.mark.reliability, pytest.mark.row(3)]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with certs_lab.project(tmp_path_factory.mktemp("rotation"), "a", "b", "c") as made:
        yield made


@dataclass
class Load:
    """What callers saw, by kind; `serials` are those of the peer."""

    calls: dict[str, int] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    serials: set[str] = field(default_factory=set)


CALLS = """
import http.client, json, sys, time
calls, failed, end = 0, [], time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    calls += 1
    try:
        connection = http.client.HTTPConnection("b", 80, timeout=5)
        connection.request("GET", "/")
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            failed.append(answer.status)
        connection.close()
    except OSError as error:
        failed.append(repr(error))
    time.sleep(0.01)
print(json.dumps([calls, failed]))
"""


@contextmanager
def _load(project: Project, seconds: float) -> Iterator[Load]:
    """Calls of a program in a to b, over the connection that their sidecars keep, and a fresh
    handshake of the control plane each 30 ms, in both directions of trust."""
    load, stop = Load(), threading.Event()

    def kept() -> None:
        calls, failed = project.lab.execute("a-envoy-app", CALLS, str(seconds))
        load.calls["kept"] = calls
        load.failed += [f"kept: {each}" for each in failed]

    def fresh() -> None:
        load.calls["fresh"] = 0
        while not stop.is_set():
            load.calls["fresh"] += 1
            try:
                load.serials.add(project.lab.handshake()["serialNumber"])
            except (OSError, AssertionError) as error:
                load.failed.append(f"fresh: {error!r}")
            stop.wait(0.03)

    threads = [threading.Thread(target=each) for each in (kept, fresh)]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        threads[0].join()
        stop.set()
        threads[1].join()


def _done(steps: list[ca_rotation.RotationStep]) -> dict[str, str]:
    assert [member for step in steps for member in step.members if not member.done] == []
    assert [step.phase for step in steps] == ["trust", "issue", "drop"]
    return {member.name: member.missing for member in steps[-1].members if member.missing}


def _calls(load: Load) -> str:
    kept, fresh = load.calls["kept"], load.calls["fresh"]
    return f"{kept} calls of a program, {fresh} fresh handshakes; {len(load.serials)} certificates"


def _check(holds: Callable[[], object]) -> None:
    assert holds()


def test_a_rotation_under_load_loses_nothing(
    project: Project, tmp_path: Path, record: Record
) -> None:
    """Three in a row; one service is stopped meanwhile, and joins when it is started. The load goes
    on until the connections of before have ended, an idle one of the first authority as well."""
    old = tmp_path / "old"
    shutil.copytree(project.directory("control-plane"), old, symlinks=True)
    workspace, stopped = project.workspace(), project.lab.containers["c-envoy"]
    stopped.stop(timeout=1)
    took, hello = [], Http2Client().hello
    with (
        _load(project, ca_rotation.OLD_SECONDS + 10) as load,
        handshake.meet(project.lab.port, "b", old, timeout=5, hello=hello) as kept,
    ):
        opened = time.monotonic()
        for _ in range(3):
            time.sleep(1)
            began = time.monotonic()
            left = _done(list(ca_rotation.rotate_ca(workspace)))
            took.append(time.monotonic() - began)
            assert left == {"c": "is stopped, and joins when it starts"}
        kept.secure.settimeout(ca_rotation.OLD_SECONDS)
        while kept.secure.recv(65536):
            pass
        lasted = time.monotonic() - opened
    assert lasted < ca_rotation.OLD_SECONDS + 5
    record(
        "three rotations by `iac certs rotate-ca`, a third service stopped meanwhile",
        _calls(load),
        f"{len(load.failed)} failed; a rotation took at most {max(took):.1f} s; an idle connection"
        f" of before ended after {lasted:.0f} s",
    )
    assert load.failed == []
    assert len(load.serials) >= 9
    assert min(load.calls.values()) > 100
    with pytest.raises(ssl.SSLError, match="UNKNOWN_CA"):
        project.lab.handshake(leaf=old)
    stopped.start()
    project.lab.containers["c-envoy-app"].restart(timeout=1)
    eventually(lambda: _check(lambda: project.call("c")), 20)
    assert certs.renew(workspace) == []
    assert [certs_lab.refused(workspace, name) for name in ("a", "b", "c")] == [0, 0, 0]


def test_step_ca_takes_over_under_load(project: Project, tmp_path: Path, record: Record) -> None:
    """From our own authority to leaves of a day that it issues, as docs/certificates.md says."""
    with step_ca(tmp_path) as server:
        coming = project.layout.secrets / NEXT
        coming.mkdir(mode=0o700)
        shutil.copy(server.root, coming / "ca.pem")
        workspace = project.workspace("24h", server.command)
        with _load(project, 15) as load:
            assert _done(list(ca_rotation.rotate_ca(workspace))) == {}
            assert [each.good for each in certs.rotate(workspace, ["b"])] == [True]
        record("from the own authority to step-ca", _calls(load), f"{len(load.failed)} failed")
        assert load.failed == []
        chain = x509.load_pem_x509_certificates(
            inspect_leaf(project.directory("b")).certificate.read_bytes()
        )
        assert [each.issuer.rfc4514_string() for each in chain] == [
            "CN=Ours Intermediate CA,O=Ours",
            "CN=Ours Root CA,O=Ours",
        ]
        assert certs.renew(workspace) == []
        assert not (project.layout.secrets / "ca.key").exists()
