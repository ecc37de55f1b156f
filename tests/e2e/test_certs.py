"""Certificates of running sidecars: rotation, what undoes it, and lives of seconds.

Real Envoys without Terraform; operations see them as a deployed project. The tests run in order.
"""

from __future__ import annotations

import os
import shutil
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from admin.renewals import LeafRenewals
from iac_wrapper.identity.certificates import ensure_ca, ensure_leaf, inspect_leaf
from iac_wrapper.model.certificate import Leaf
from iac_wrapper.operations import certs, history, leaves, served_leaf
from iac_wrapper.operations.verify import Target, prove_targets
from iac_wrapper.operations.workspace import Workspace
from tests.support import certs_lab
from tests.support.certs_lab import Project
from tests.support.mesh_lab import DOMAIN, ENVOY_UID, eventually

pytestmark = pytest.mark.integration

LIFE = 10
"""Seconds; renewed are leaves after 5 to 6."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with certs_lab.project(tmp_path_factory.mktemp("certs"), "a", "b") as made:
        yield made


def _check(condition: bool) -> None:
    assert condition


def _rows(workspace: Workspace) -> dict[str, certs.CertificateRow]:
    return {row.name: row for row in certs.list_certificates(workspace)}


def test_what_is_served_is_listed_beside_what_is_on_disk(project: Project) -> None:
    """Of the CA, of iac itself and of each service; all is well."""
    rows = _rows(project.workspace())
    assert list(rows) == ["CA", "control-plane", "operator", "a", "b"]
    assert {row.state for row in rows.values()} == {"ok", "issued for each command, for 1 h"}
    assert rows["a"].serial == rows["a"].served == inspect_leaf(project.directory("a")).serial
    assert rows["a"].uris == (f"spiffe://{DOMAIN}/a",)


def test_a_rotation_is_served_within_a_second(project: Project) -> None:
    """Of all, each proven by a handshake; no Envoy refused anything."""
    workspace = project.workspace()
    before = inspect_leaf(project.directory("b")).serial
    done = {each.name: each for each in certs.rotate(workspace)}
    assert list(done) == ["control-plane", "a", "b"]
    assert all(each.good for each in done.values())
    assert max(done[name].seconds or 0 for name in ("a", "b")) < 1
    assert done["b"].before == before != done["b"].serial
    assert served_leaf.look(project.lock, "b") == (
        done["b"].serial,
        inspect_leaf(project.directory("b")).fingerprint,
    )
    assert [certs_lab.refused(workspace, name) for name in ("a", "b")] == [0, 0]
    assert project.call()
    event = history.history(workspace).entries[0]
    assert (event.kind, event.verdict) == ("rotate", "good")
    assert event.facts["done"][2] == f"b: certificate {done['b'].serial}"


def test_a_bad_pair_is_seen_and_healed_and_a_removed_authority_is_refused(
    project: Project, tmp_path: Path
) -> None:
    """The trap: the old pair comes back, Envoy takes neither it nor another authority any more.

    Verdict and list see the bad pair; of the old pair that came back, Envoy's own counter tells.
    With a fresh leaf the next change of the authority counts again.
    """
    workspace, folder = project.workspace(), project.directory("b")
    generation = folder / (folder / "..data").readlink()
    good = tmp_path / "good"
    shutil.copytree(generation, good)
    bad = _put(folder, good, "..bad")
    strange = inspect_leaf(project.directory("a")).key
    (bad / "tls.key").write_bytes(strange.read_bytes())
    _swap(folder, bad)
    eventually(lambda: _check(certs_lab.refused(workspace, "b") != 0), 5)
    assert _rows(workspace)["b"].state.startswith("mismatch: its key is not that of")
    (found,) = prove_targets(workspace, project.lock, [Target(project.lock.apps[1])], wait=0)
    assert not found.good
    assert found.diagnosis
    assert found.diagnosis.finding.code == "bad-certificate"
    assert "iac certs rotate b" in found.diagnosis.finding.next_step

    _swap(folder, _put(folder, good, "..back"))
    time.sleep(0.5)
    row = _rows(workspace)["b"]
    assert (row.fault, row.differs, row.refused) == (None, False, True)
    assert row.state.startswith("stuck: ")
    assert project.call()

    (healed,) = certs.renew(workspace)
    assert (healed.name, healed.good, healed.why) == ("b", True, "its Envoy had refused a pair")
    assert _rows(workspace)["b"].state == "ok"
    assert certs.renew(workspace) == []

    old = tmp_path / "old-control-plane"
    shutil.copytree(project.directory("control-plane"), old, symlinks=True)
    project.lab.handshake(leaf=old)
    other = ensure_ca(tmp_path / "other")
    for name in ("ca.pem", "ca.key"):
        (project.layout.secrets / name).write_bytes((tmp_path / "other" / name).read_bytes())
    assert {each.name for each in certs.renew(workspace)} == {"control-plane", "a", "b"}
    assert project.lab.handshake()["serialNumber"]
    with pytest.raises(ssl.SSLError, match="UNKNOWN_CA"):
        project.lab.handshake(leaf=old)
    eventually(lambda: _check(project.call()), 5)
    assert inspect_leaf(folder).trusted.read_bytes().endswith(b"\n" + other.trusted)


def test_a_bad_pair_is_seen_after_a_restart_of_envoy(project: Project, tmp_path: Path) -> None:
    """It counts anew then: what was noted of its run before is no measure."""
    workspace = project.workspace()
    _refuse(project, tmp_path / "first")
    (healed,) = certs.renew(workspace)
    before = served_leaf.refusals(workspace, "b")
    assert healed.good
    assert before

    pid = project.lab.processes("b-envoy")["envoy"]["pid"]
    kill = ["/opt/iac/python3", "-c", f"import os; os.kill({pid}, 9)"]
    project.lab.containers["b-envoy"].exec_run(kill, user=str(ENVOY_UID))
    eventually(lambda: _check(certs_lab.refused(workspace, "b") == 0), 10)
    eventually(lambda: _check(_rows(workspace)["b"].state == "ok"), 10)

    _refuse(project, tmp_path / "second")
    now = served_leaf.refusals(workspace, "b")
    assert now
    assert now.number <= before.number
    assert _rows(workspace)["b"].refused
    (healed,) = certs.renew(workspace)
    assert healed.good
    assert _rows(workspace)["b"].state == "ok"


def _refuse(project: Project, good: Path) -> None:
    """Have the Envoy of b refuse a pair, after which the one it has comes back, from `good`."""
    workspace, folder = project.workspace(), project.directory("b")
    shutil.copytree(folder / (folder / "..data").readlink(), good)
    bad = _put(folder, good, "..bad")
    (bad / "tls.key").write_bytes(inspect_leaf(project.directory("a")).key.read_bytes())
    before = served_leaf.refusals(workspace, "b")
    _swap(folder, bad)
    eventually(lambda: _check(served_leaf.refusals(workspace, "b") != before), 5)
    _swap(folder, _put(folder, good, "..back"))
    time.sleep(0.5)


def _put(folder: Path, source: Path, name: str) -> Path:
    made = folder / name
    shutil.copytree(source, made)
    made.chmod(0o755)
    if os.geteuid() == 0:
        os.chown(made / "tls.key", ENVOY_UID, -1)
    return made


def _swap(folder: Path, generation: Path) -> None:
    """As a person does who knows how: one rename."""
    link = folder / "..new"
    link.symlink_to(generation.name)
    link.replace(folder / "..data")


def test_lives_of_seconds_lose_nothing(project: Project, record_property: object) -> None:
    """The admin service renews; kept and fresh connections all are answered, over several lives."""
    workspace = project.workspace(f"{LIFE}s")
    started, serials, failed, calls = time.monotonic(), set(), [], 0
    stop = threading.Event()

    def fresh() -> None:
        nonlocal calls
        while not stop.is_set():
            calls += 1
            try:
                serials.add(project.lab.handshake()["serialNumber"])
            except (OSError, AssertionError) as error:
                failed.append(f"{time.monotonic() - started:.1f} s: {error!r}")
            stop.wait(0.05)

    renewals = LeafRenewals(project.layout, workspace.settings)
    renewals.start()
    caller = threading.Thread(target=fresh)
    try:
        eventually(lambda: _check(_remaining(project) <= LIFE), 5)
        caller.start()
        while time.monotonic() - started < LIFE + 4:
            calls += 1
            if not project.call():
                failed.append(f"{time.monotonic() - started:.1f} s: a call of a")
            time.sleep(0.2)
    finally:
        stop.set()
        caller.join()
        renewals.stop()
    assert failed == []
    assert calls > 100
    assert len(serials) >= 3
    assert certs_lab.refused(workspace, "a") == 0


def _remaining(project: Project) -> float:
    return max(
        inspect_leaf(project.directory(name)).not_after.timestamp() - time.time()
        for name in ("a", "b", "control-plane")
    )


def test_an_ended_certificate_is_refused_and_said(project: Project) -> None:
    """Nobody renews it: callers refuse it, list and warning say so, and a rotation helps."""
    workspace = project.workspace(f"{LIFE}s")
    short = _expired(project)
    with pytest.raises(ssl.SSLError, match="expired"):
        eventually(lambda: project.lab.handshake("b"), 0)
    assert short.fingerprint == (served_leaf.look(project.lock, "b") or ("", ""))[1]
    project.said.clear()
    leaves.warn_of_ends(workspace, project.lock)
    assert "certificates of b have ended" in project.said[0]
    assert _rows(workspace)["b"].state.startswith("expired: it ended on ")
    (done,) = certs.rotate(project.workspace(), ["b"])
    assert done.good
    assert project.lab.handshake()


def _expired(project: Project) -> Leaf:
    """A leaf of b that has just ended; all others are good for long."""
    certs.rotate(project.workspace(), ["a", "control-plane"])
    leaf = ensure_leaf(
        ensure_ca(project.layout.secrets),
        project.directory("b"),
        name="b",
        trust_domain=DOMAIN,
        owner_uid=ENVOY_UID,
        lifetime=timedelta(seconds=4),
        force=True,
    )
    time.sleep(5)
    return leaf
