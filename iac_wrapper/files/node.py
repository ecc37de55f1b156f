"""The Node that cdktf runs on, as variables for the process that imports cdktf."""

from __future__ import annotations

import os
from pathlib import Path

from iac_wrapper.errors import ConfigError
from iac_wrapper.files.host import Host
from iac_wrapper.files.machine_home import setup_command

VARIABLE = "JSII_NODE"
"""Where jsii, which starts Node on the first import of cdktf, looks for it before PATH."""

_OLDEST, _NEWEST = 18, 40  # major versions: the oldest that cdktf runs on, one that is far away


def environment(host: Host) -> dict[str, str]:
    """The recorded Node as variables.

    Raises:
        ConfigError: it is not there. jsii itself would end in an AttributeError.
    """
    if not os.access(host.node, os.X_OK):
        raise ConfigError(
            "Node is not where bootstrap found it",
            where=host.node or "node",
            found="no executable",
            expected=f"Node {_OLDEST} or newer, which cdktf runs on",
            next_step=setup_command(),
        )
    # The banner is not about anything the user can see or change.
    silenced = ",".join(map(str, range(_OLDEST, _NEWEST)))
    return {VARIABLE: host.node, "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": silenced}


def is_on_path() -> bool:
    """Whether jsii finds a Node by itself."""
    return any(os.access(Path(folder) / "node", os.X_OK) for folder in os.get_exec_path())
