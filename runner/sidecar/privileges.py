"""Root, given up for good."""

from __future__ import annotations

import ctypes
import os
import re
from pathlib import Path

from runner.sidecar.refused import Refused

_PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT, _CLEAR_ALL = 24, 38, 47, 4
_CAPABILITY_VERSION_3 = 0x20080522


def drop(uid: int) -> None:
    """Become `uid` (and the gid of the same number) with every capability set empty, for good.

    Raises:
        Refused: the kernel shows a capability afterwards.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    for capability in range(last + 1):
        libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    libc.prctl(_PR_CAP_AMBIENT, _CLEAR_ALL, 0, 0, 0)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    libc.capset(header, (ctypes.c_uint32 * 6)())  # the uid change leaves the inheritable set
    if found := left(Path("/proc/self/status").read_text()):
        raise Refused("privileges are left after dropping them: " + ", ".join(found))


def left(status: str) -> list[str]:
    """The lines of a /proc/PID/status that show a capability or a missing no_new_privs."""
    found = dict(re.findall(r"^(Cap\w+|NoNewPrivs):\s*([0-9a-f]+)$", status, re.M))
    wrong = [name for name in found if name.startswith("Cap") and int(found[name], 16)]
    return wrong + ([] if found.get("NoNewPrivs") == "1" else ["NoNewPrivs"])
