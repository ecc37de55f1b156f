"""Terraform's state file, read only: which resources it holds, and the lock that was applied.

The stack puts the lock it was synthesized from into an output named ``lock``; so the state says
what is deployed, whichever of `iac` and `cdktf` applied it.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from iac_wrapper.errors import FREE_SPACE, ConfigError, IacError
from iac_wrapper.files import lock_file
from iac_wrapper.files.layout import Layout
from iac_wrapper.files.lock_file import LOCK_OUTPUT
from iac_wrapper.model import labels
from iac_wrapper.model.lock import LockFile

ROOM_BYTES = 8 * 2**20
"""For a plan and its log, beside the state and its copy; of each a service has about 30 KB."""


def projects(layout: Layout) -> list[str]:
    """Names of the folder's projects that have a state, sorted."""
    found = (layout.data / "projects").glob("*/terraform.tfstate")
    return sorted(path.parent.name for path in found)


def applied_lock(state: Path) -> LockFile | None:
    """The lock of the last finished apply; None if there was none or all is destroyed."""
    text = applied_text(state)
    return lock_file.parse_lock(text, where=str(state)) if text is not None else None


def applied_text(state: Path) -> str | None:
    """The same as the state holds it: the text of the lock file that was applied."""
    output = _read(state).get("outputs", {}).get(LOCK_OUTPUT)
    return output["value"] if output else None


def resource_ids(state: Path) -> set[str]:
    """The ``id`` of every resource in the state."""
    return {
        instance["attributes"]["id"]
        for resource in _read(state).get("resources", [])
        for instance in resource.get("instances", [])
        if instance.get("attributes", {}).get("id")
    }


def bodies(state: Path, kind: str) -> list[dict[str, Any]]:
    """The attributes of every resource of a kind, such as ``docker_container``."""
    return [
        instance["attributes"]
        for resource in _read(state).get("resources", [])
        if resource.get("mode") == "managed" and resource["type"] == kind
        for instance in resource.get("instances", [])
    ]


def others(state: Path) -> tuple[str, ...]:
    """The addresses of managed resources that are no part of the project: somebody added them."""
    return tuple(
        ".".join(filter(None, (resource.get("module"), resource["type"], resource["name"])))
        for resource in _read(state).get("resources", [])
        if resource.get("mode") == "managed" and not _is_own(resource)
    )


def need_room(state: Path) -> None:
    """See that the disk has room for Terraform to write `state` anew.

    It writes over the old one after a copy to ``.backup``, and what does not fit is cut off: then
    the state is no JSON any more, and what was made meanwhile is in none
    (findings/terraform-full-disk.sh).

    Raises:
        IacError: it has not.
    """
    size = state.stat().st_size if state.exists() else 0
    free, needed = shutil.disk_usage(state.parent).free, 2 * size + ROOM_BYTES
    if free < needed:
        raise IacError(
            "there is no room for Terraform's state",
            where=str(state.parent),
            found=f"{free // 2**20} MiB are free",
            expected=f"{-(-needed // 2**20)} MiB; nothing was changed",
            next_step=FREE_SPACE,
        )


def _is_own(resource: dict[str, Any]) -> bool:
    bodies = [instance.get("attributes") or {} for instance in resource.get("instances", [])]
    return all(labels.is_own(resource["type"], body) for body in bodies)


def _read(state: Path) -> dict[str, Any]:
    try:
        # Terraform makes the file empty first, and writes it when its first apply ends.
        data: dict[str, Any] = json.loads(state.read_text(encoding="utf-8") or "{}")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ConfigError(
            "cannot read Terraform's state",
            where=str(state),
            found=str(error),
            next_step=f"restore it from {state.name}.backup beside it",
        ) from None
    return data
