from __future__ import annotations

import os

from iac_wrapper.files import host
from iac_wrapper.identity.certificates import inspect_leaf
from iac_wrapper.operations.leaves import ENVOY_UID, keep_certificates
from iac_wrapper.operations.workspace import Workspace
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
