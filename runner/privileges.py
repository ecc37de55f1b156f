"""Who is who in the app container: PID 1 starts as root, and gives that up before anything else.

The program has a uid of its own, so it can neither signal, trace nor read what watches it; that one
keeps CAP_KILL alone, to end the program. Nobody is root once this is done.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

_PR_SET_DUMPABLE, _PR_SET_KEEPCAPS, _PR_CAPBSET_DROP = 4, 8, 24
_PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT, _CLEAR_ALL = 38, 47, 4
_CAPABILITY_VERSION_3 = 0x20080522
_KILL = 1 << 5  # CAP_KILL


def become(uid: int, *, kill: bool) -> None:
    """Become `uid` for good, of the group that we have, with at most CAP_KILL.

    Args:
        kill: whether that capability stays.

    Raises:
        OSError: the kernel does not let us.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text(encoding="ascii"))
    for capability in range(last + 1):
        libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    libc.prctl(_PR_CAP_AMBIENT, _CLEAR_ALL, 0, 0, 0)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.prctl(_PR_SET_KEEPCAPS, int(kill), 0, 0, 0)
    os.setgroups([])
    os.setresuid(uid, uid, uid)
    kept = _KILL if kill else 0
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    # Effective, permitted and inheritable, of the first 32 capabilities and of the others.
    if libc.capset(header, (ctypes.c_uint32 * 6)(kept, kept)):
        raise OSError(ctypes.get_errno(), "cannot give up capabilities")
    # Not to be traced by others of this uid, which the program's are for the starter.
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
