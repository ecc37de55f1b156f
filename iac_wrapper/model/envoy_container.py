"""What every container of the sidecar's image needs, whoever makes it. Values, no I/O."""

from __future__ import annotations

CAPABILITIES = ("CAP_NET_ADMIN", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID")
"""For the init's first moments (firewall, change of user); it holds none afterwards."""

MEMORY_MB = 256
"""Envoy 1.40 idles at 65 MB with one worker thread."""

STOP_SECONDS = 10
"""The init drains for at most 5 s, then gives Envoy 4 s to end."""


def tmpfs(uid: int) -> dict[str, str]:
    """The one writable place, that of the Envoy with this uid.

    The init writes there after it has changed user: measured, root without CAP_DAC_OVERRIDE
    cannot write to a directory of somebody else's.
    """
    return {"/run": f"uid={uid},gid={uid},mode=0755,size=16m"}
