"""Real sidecars of two services and a gateway that operations see as a deployed project."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from iac_wrapper.files import lock_file, users_file
from iac_wrapper.files.layout import Layout
from iac_wrapper.model.lock import LockFile
from iac_wrapper.model.users import Users
from iac_wrapper.operations import served_leaf
from iac_wrapper.operations.workspace import Workspace
from iac_wrapper.settings import Settings
from tests.support import mesh_lab
from tests.support.deployed import app
from tests.support.mesh_lab import APP, DOMAIN, ENVOY_UID, Lab, eventually


@dataclass
class Project:
    """The lab as a project whose deploy has ended; `said` is what operations told."""

    lab: Lab
    layout: Layout
    lock: LockFile
    said: list[str] = field(default_factory=list)

    def workspace(self, lifetime: str = "90d", command: str = "") -> Workspace:
        """It, with these settings."""
        return Workspace(
            self.layout,
            Settings(IAC_LEAF_LIFETIME=lifetime, IAC_CERT_COMMAND=command),
            self.lock.project,
            lambda event: self.said.append(event.message),
        )

    def directory(self, name: str) -> Path:
        """Where the leaf of `name` lies."""
        return self.layout.certificates(self.lock.project) / name

    def call(self, service: str = "b") -> bool:
        """Whether a program in service a gets an answer."""
        return self.lab.fetch(f"http://{service}/", name="a-envoy-app")[0] == 200


def refused(workspace: Workspace, name: str) -> int | None:
    """How many pairs the Envoy of `name` has refused; None: it does not say."""
    found = served_leaf.refusals(workspace, name)
    return found.number if found else None


@contextmanager
def project(root: Path, *names: str) -> Iterator[Project]:
    """These services, a and b among them, with their programs."""
    layout = Layout(root)
    lab = mesh_lab.start(layout.secrets)
    try:
        lab.leaf("control-plane", os.geteuid())
        layout.certificates(lab.prefix).symlink_to("p")
        for name in names:
            lab.sidecar(name, f"{name}-envoy", name)
            lab.program(f"{name}-envoy", APP)
        lab.envoy("gateway", ports={15443: ("127.0.0.1", 0)}, **lab.on_network())
        lab.containers["gateway"].reload()
        lab.port = int(lab.containers["gateway"].ports["15443/tcp"][0]["HostPort"])
        lock = LockFile(lab.prefix, DOMAIN, lab.subnet, lab.port, tuple(map(app, names)))
        users = {name: Users(ENVOY_UID - 1) for name in ("gateway", *names)}
        users_file.save_users(users, layout.users(lab.prefix))
        outputs = {lock_file.LOCK_OUTPUT: {"value": lock_file.dump(lock)}}
        layout.state(lab.prefix).write_text(json.dumps({"outputs": outputs}))
        made = Project(lab, layout, lock)
        eventually(lab.handshake, 10)
        eventually(lambda: _check(made.call()), 10)
        yield made
    finally:
        lab.close()


def _check(condition: bool) -> None:
    assert condition
