from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from iac_wrapper.files import host
from iac_wrapper.files.users_file import save_users
from iac_wrapper.identity.certificates import inspect_leaf
from iac_wrapper.model.users import Users
from iac_wrapper.operations import leaves
from iac_wrapper.operations.leaves import ENVOY_UID, keep_certificates
from iac_wrapper.operations.workspace import Workspace
from iac_wrapper.settings import Settings
from tests.support.deployed import app, deployed
from tests.support.docker_daemon import Daemon, FakeContainer


def test_an_envoy_that_stays_gets_a_leaf_that_it_can_read(
    workspace: Workspace, engine_double: Daemon
) -> None:
    """The deploy made one for the Envoy to come; a leaf that will do is left alone."""
    host.save_host(
        host.Host("d", "t", "n", "embedded", "iac/envoy:x", {}), workspace.settings.machine_home
    )
    lock = deployed(workspace.layout, app("web"), app("api"))
    folder = workspace.layout.certificates("demo") / "web"
    uid = {ENVOY_UID: str(os.geteuid())}
    for service in ("web", "api"):
        name = f"demo-{service}-envoy"
        engine_double.add(FakeContainer(name, "demo", service, "envoy", environment=uid))
    before = inspect_leaf(folder)
    keep_certificates(workspace, lock, ["web"])
    assert inspect_leaf(folder) == before
    before.key.chmod(0o640)  # as little its Envoy's own as with another owner, which takes a root

    keep_certificates(workspace, lock, ["api", "gone"])
    assert inspect_leaf(folder) == before
    keep_certificates(workspace, lock, ["web"])

    after = inspect_leaf(folder)
    assert after.fingerprint != before.fingerprint
    assert after.key.stat().st_mode & 0o777 == 0o600


def _short(workspace: Workspace) -> Workspace:
    return replace(workspace, settings=Settings(IAC_LEAF_LIFETIME="1h"))


def test_what_is_due_says_why_and_for_everybody(
    workspace: Workspace, engine_double: Daemon
) -> None:
    """The control plane's own, a key that does not fit, a shorter life: nothing is changed."""
    lock = deployed(workspace.layout, app("web"))
    users = {"web": Users(os.geteuid() - 1)}
    assert leaves.due_certificates(workspace, lock, users) == {}
    folder = workspace.layout.certificates("demo")
    (folder / "web" / "tls.key").write_bytes((folder / "control-plane" / "tls.key").read_bytes())
    assert leaves.due_certificates(workspace, lock, users) == {
        "web": "its key is not that of its certificate"
    }
    short = _short(workspace)
    assert leaves.due_certificates(short, lock, users)["control-plane"].startswith("it would live")


def test_a_renewal_needs_no_project_lock_and_gives_keys_to_running_envoys(
    workspace: Workspace, engine_double: Daemon
) -> None:
    """A deploy that takes longer than a leaf lives does not stop it; what is good stays."""
    lock = deployed(workspace.layout, app("web"), app("api"))
    save_users(
        {name: Users(4_000) for name in ("gateway", "web", "api")}, workspace.layout.users("demo")
    )
    uid = {ENVOY_UID: str(os.geteuid())}
    for service in ("web", "api"):
        name = f"demo-{service}-envoy"
        engine_double.add(FakeContainer(name, "demo", service, "envoy", environment=uid))
    before = {name: leaves.leaf_of(workspace, name).serial for name in ("web", "api")}
    with workspace.hold("iac deploy"):
        done = leaves.renew(workspace)
    assert (done.renewed, done.errors) == ((), {})
    assert done.next_at
    with workspace.hold("iac deploy"):
        renewed = leaves.renew(_short(workspace)).renewed
    assert [each.name for each in renewed] == ["api", "control-plane", "web"]
    assert leaves.leaf_of(workspace, "web").serial != before["web"]
    leaves.warn_of_ends(workspace, lock)


def test_a_slow_issuer_is_asked_for_all_at_once(workspace: Workspace, tmp_path: Path) -> None:
    """Each waits for the other: one after the other none would come."""
    deployed(workspace.layout, app("web"), app("api"))
    users = {name: Users(os.geteuid() - 1) for name in ("gateway", "web", "api")}
    save_users(users, workspace.layout.users("demo"))
    (workspace.layout.secrets / "ca.key").unlink()
    script = f"touch {tmp_path}/$IAC_CERT_NAME; sleep 1; ls {tmp_path} | grep -c '^web$\\|^api$'"
    asking = Settings(IAC_CERT_COMMAND=f'sh -c "{script}; exit 1"')
    lock = workspace.applied_lock()
    assert lock
    slow = replace(workspace, settings=asking)
    why = {"web": "due", "api": "due"}
    _, errors = leaves.issue_leaves(slow, lock, dict.fromkeys(why, os.geteuid()), why)
    assert [each.detail for each in errors.values()] == ["2", "2"]


def test_the_leaf_that_a_command_talks_with_is_mended(workspace: Workspace) -> None:
    """Damaged, it stops every other command; while it is good, who only looks leaves it alone."""
    lock = deployed(workspace.layout, app("web"))
    folder = workspace.layout.certificates("demo") / "control-plane"
    for name in ("tls.crt", "tls.key", "ca.crt"):
        (folder / name).write_bytes(b"-----BEGIN")
        leaves.refresh_control_plane(workspace, lock)
        assert leaves.faults(workspace, lock, {"control-plane": os.geteuid()}) == {
            "control-plane": None
        }
    serial = leaves.leaf_of(workspace, "control-plane").serial
    leaves.refresh_control_plane(_short(workspace), lock, early=False)
    assert leaves.leaf_of(workspace, "control-plane").serial == serial
    leaves.refresh_control_plane(_short(workspace), lock)
    assert leaves.leaf_of(workspace, "control-plane").serial != serial


def test_a_renewal_makes_no_authority(workspace: Workspace, engine_double: Daemon) -> None:
    """One that was lost is for a deploy, which says so."""
    deployed(workspace.layout, app("web"))
    save_users(
        {"gateway": Users(4_000), "web": Users(os.geteuid() - 1)}, workspace.layout.users("demo")
    )
    for name in ("ca.pem", "ca.key"):
        (workspace.layout.secrets / name).unlink()
    done = leaves.renew(workspace)
    assert "there is no CA" in str(done.errors["web"])
    assert not (workspace.layout.secrets / "ca.pem").exists()
