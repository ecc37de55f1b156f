"""Facts about the machine that decide how something may be installed or started."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Machine:
    """What bootstrap may do here.

    `distribution` is os-release's ID (``debian``, ``ubuntu``, …; ``macos`` on a Mac), `codename`
    its VERSION_CODENAME. `init` says who starts services: ``systemd``, ``sysv`` or ``none`` (a
    container or a bare VM, where a daemon is simply started).
    """

    root: bool
    distribution: str
    codename: str
    apt: bool
    init: str

    @property
    def can_apt(self) -> bool:
        """True when packages can be installed without asking anybody."""
        return self.root and self.apt


def inspect_machine() -> Machine:
    """Look at this machine."""
    release = _os_release()
    return Machine(
        root=os.geteuid() == 0,
        distribution="macos" if sys.platform == "darwin" else release.get("ID", ""),
        codename=release.get("VERSION_CODENAME", ""),
        apt=shutil.which("apt-get") is not None and _debian_like(release),
        init=init_system(Path("/")),
    )


def _os_release() -> Mapping[str, str]:
    """os-release(5); empty where there is none."""
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}


def init_system(root: Path) -> str:
    """``systemd`` (sd_booted(3)'s own test), ``sysv`` when PID 1 is init, else ``none``."""
    if (root / "run/systemd/system").is_dir():
        return "systemd"
    try:
        name = (root / "proc/1/comm").read_text().strip()
    except OSError:
        return "none"
    return "sysv" if name in ("init", "openrc-init") else "none"


def _debian_like(release: Mapping[str, str]) -> bool:
    family = {release.get("ID", ""), *release.get("ID_LIKE", "").split()}
    return bool(family & {"debian", "ubuntu"})
