"""Gives a key to another user: the one thing here that needs root.

Who is root does it; who may only use the Docker engine lets a short container do it, which is root
on the engine's machine with no capability but CHOWN, no network, and the key's folder alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from iac_wrapper.adapters.engine import Engine
from iac_wrapper.errors import CertificateError
from iac_wrapper.model import labels

Give = Callable[[Path, int], None]
"""Make a file belong to a uid; raises CertificateError if that is not possible."""

_CHOWN = "import os, sys; os.chown(sys.argv[1], int(sys.argv[2]), -1)"


def giver(engine: Engine, image: str, project: str) -> Give:
    """The way that is open to this process; `image` is the sidecar's, which has a Python."""
    if os.geteuid() == 0:
        return chown
    return lambda path, uid: _by_container(engine, image, project, path, uid)


def chown(path: Path, uid: int) -> None:
    """Give `path` away; only root can."""
    try:
        os.chown(path, uid, -1)
    except OSError as error:
        raise _refused(path, uid, error.strerror or str(error)) from None


def _by_container(engine: Engine, image: str, project: str, path: Path, uid: int) -> None:
    def run(api: Any) -> str:
        host = api.create_host_config(
            binds={str(path.parent): {"bind": "/leaf", "mode": "rw"}},
            network_mode="none",
            cap_drop=["ALL"],
            cap_add=["CHOWN"],
            security_opt=["no-new-privileges"],
            read_only=True,
        )
        made = api.create_container(
            image,
            ["-I", "-S", "-c", _CHOWN, f"/leaf/{path.name}", str(uid)],
            entrypoint="/opt/iac/python3",
            user="0:0",
            host_config=host,
            labels={labels.PROJECT: project, labels.SERVICE: "helper", labels.ROLE: "helper"},
        )["Id"]
        try:
            api.start(made)
            code = api.wait(made)["StatusCode"]
            return "" if code == 0 else api.logs(made).decode(errors="replace") or f"exit {code}"
        finally:
            api.remove_container(made, force=True)

    if said := engine.call(run):
        raise _refused(path, uid, said.strip().splitlines()[-1])


def _refused(path: Path, uid: int, reason: str) -> CertificateError:
    return CertificateError(
        "cannot give a key to its Envoy",
        where=str(path),
        found=reason,
        expected=f"an engine on this machine, whose root may make uid {uid} the owner",
        next_step="run iac as root, or use this machine's own Docker engine",
    )
