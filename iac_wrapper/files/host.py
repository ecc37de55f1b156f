"""`.iac/host.json`: what bootstrap found or built on this machine. Never committed.

The lock holds facts of the project; these are facts of the machine that both sides need.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from iac_wrapper.files import record
from iac_wrapper.files.atomic import write_text

HOST_VERSION = 2
"""2: the sidecar image renders Envoy's configuration, which older images get by environment."""


@dataclass(frozen=True)
class PythonBase:
    """One Python for app images.

    `image` is the slim base as a Docker reference, `runtime_image` the base with runner and
    launcher that app images start FROM; its tag is a hash of what is in it.
    """

    image: str
    runtime_image: str


@dataclass(frozen=True)
class Host:
    """Tools and images of this machine.

    `docker`, `terraform` and `node` are absolute paths of executables; `docker` is a CLI that can
    build with BuildKit. `provider` is ``registry`` or ``embedded``: the choice that was made.
    `loopback_v6` says whether the engine's kernel can give a container ``::1``.
    """

    docker: str
    terraform: str
    node: str
    provider: str
    sidecar_image: str
    bases: Mapping[str, PythonBase]
    loopback_v6: bool = False


def path_in(root: Path) -> Path:
    """Where the record lies in a project folder."""
    return root / ".iac" / "host.json"


def save(host: Host, root: Path) -> None:
    """Write the record."""
    text = json.dumps({"version": HOST_VERSION, **asdict(host)}, indent=2, sort_keys=True)
    write_text(path_in(root), text + "\n")


def load(root: Path, *, versions: Collection[int] = (HOST_VERSION,)) -> Host:
    """Read the record.

    Args:
        root: the project folder.
        versions: the record's versions that will do; bootstrap can begin from an old one.

    Raises:
        ConfigError: bootstrap has not run here, or ran with another version.
    """

    def parse(data: dict[str, Any]) -> Host:
        bases = {
            key: PythonBase(
                value["image"], value["runtime_image"]
            )  # once with the image's id as well
            for key, value in data.pop("bases").items()
        }
        data.pop("envoy_uid", None)  # one for all services: written up to version 0.1
        if data.pop("version") not in versions:
            raise ValueError("the record of another version")
        return Host(bases=bases, **data)

    return record.read(
        path_in(root),
        parse,
        message="this machine is not set up yet",
        expected="the record that bootstrap writes",
        next_step="make bootstrap",
    )
