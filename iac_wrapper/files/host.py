"""`host.json`: what the set-up found or built on this machine. Never committed.

The lock holds facts of the project; these are facts of the machine that both sides need.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from iac_wrapper.errors import ConfigError
from iac_wrapper.files import machine_home, record
from iac_wrapper.files.atomic import write_text
from iac_wrapper.files.machine_home import MachineHome

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


def save_host(host: Host, home: MachineHome) -> None:
    """Write the record, as made from the files of this version; what is equal is not touched."""
    facts = {"version": HOST_VERSION, "inputs": machine_home.inputs(), **asdict(host)}
    text = json.dumps(facts, indent=2, sort_keys=True) + "\n"
    if not home.record.is_file() or home.record.read_text(encoding="utf-8") != text:
        write_text(home.record, text)


def load_host(home: MachineHome) -> Host:
    """Read the record.

    Raises:
        ConfigError: there was no set-up yet, or one of another version, with other images.
    """
    found = read_host(home, versions=(HOST_VERSION,))
    if not is_current(home):
        raise ConfigError(
            "this machine was set up by another version of KarstKit",
            where=str(home.record),
            found="images and tools made from other files",
            expected="those of the version that runs now",
            next_step=machine_home.setup_command(),
        )
    return found


def is_current(home: MachineHome) -> bool:
    """Whether the record, which is there, was made from the files of this version."""
    found = json.loads(home.record.read_text(encoding="utf-8")).get("inputs")
    return bool(found == machine_home.inputs())


def read_host(home: MachineHome, *, versions: Collection[int]) -> Host:
    """Read the record, whatever files it was made from.

    Args:
        home: the folder of this machine's facts.
        versions: the record's versions that will do; a set-up can begin from an old one.

    Raises:
        ConfigError: there was no set-up yet, or one of another version.
    """

    def parse(data: dict[str, Any]) -> Host:
        bases = {
            key: PythonBase(
                value["image"], value["runtime_image"]
            )  # once with the image's id as well
            for key, value in data.pop("bases").items()
        }
        data.pop("envoy_uid", None)  # one for all services: written up to version 0.1
        data.pop("inputs", None)
        if data.pop("version") not in versions:
            raise ValueError("the record of another version")
        return Host(bases=bases, **data)

    return record.read_record(
        home.record,
        parse,
        message="this machine is not set up yet",
        expected="the record that the set-up writes",
        next_step=machine_home.setup_command(),
    )
