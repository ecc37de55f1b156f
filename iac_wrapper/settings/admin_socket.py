"""Where the Unix socket of the admin API is."""

from __future__ import annotations

import os
from pathlib import Path

from iac_wrapper.errors import ConfigError
from iac_wrapper.settings.table import Settings


def default_socket(settings: Settings) -> Path:
    """Where the socket belongs: IAC_ADMIN_SOCKET, else the system's or the user's runtime folder.

    Raises:
        ConfigError: the path is relative, or there is no runtime folder.
    """
    if settings.admin_socket:
        return _absolute(Path(settings.admin_socket).expanduser(), "IAC_ADMIN_SOCKET")
    if os.geteuid() == 0:
        return Path("/run/iac_wrapper.sock")
    folder = settings.environment.get("XDG_RUNTIME_DIR", "")
    if not folder:
        raise ConfigError(
            "no place for the Unix socket",
            where="IAC_ADMIN_SOCKET",
            found="neither IAC_ADMIN_SOCKET nor XDG_RUNTIME_DIR is set",
            next_step="set IAC_ADMIN_SOCKET to a path in a folder that only you can write",
        )
    return _absolute(Path(folder), "XDG_RUNTIME_DIR") / "iac_wrapper.sock"


def _absolute(path: Path, where: str) -> Path:
    if path.is_absolute():
        return path
    raise ConfigError(
        "not an absolute path", where=where, found=str(path), next_step=f"set {where} to one"
    )
