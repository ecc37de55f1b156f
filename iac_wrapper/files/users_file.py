"""`users.json`: which uids the services of a project have on this machine's engine.

The record is on the engine (docs/decisions/0022); this file hands it to the synth side. It is a
fact of the machine, so it lies beside the state and not in repos.lock.json.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from iac_wrapper.files import record
from iac_wrapper.files.atomic import write_text
from iac_wrapper.model.users import Users

VERSION = 1

VARIABLE = "IAC_USERS_FILE"
"""Names another file than the project's own to the synth side: a plan proposes uids in one."""


def save_users(users: Mapping[str, Users], path: Path) -> None:
    """Write the file: service (or ``gateway``) -> first uid of its block."""
    bases = {name: each.base for name, each in users.items()}
    data = {"version": VERSION, "first_uid": bases}
    write_text(path, json.dumps(data, indent=2, sort_keys=True) + "\n")


def load_users(path: Path) -> dict[str, Users]:
    """Read the file.

    Raises:
        ConfigError: there is none, or it is not one of this version.
    """
    return record.read_record(
        path,
        _from_json,
        message="the services have no users on this machine yet",
        expected="the file that `iac lock` and `iac deploy` write",
        next_step="iac lock --file repos.yaml",
    )


def _from_json(data: Mapping[str, Any]) -> dict[str, Users]:
    if data["version"] != VERSION:
        raise ValueError(f"version {data['version']!r}")
    return {name: Users(int(base)) for name, base in data["first_uid"].items()}
