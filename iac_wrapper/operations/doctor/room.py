"""What free space on a disk means."""

from __future__ import annotations

from iac_wrapper.errors import CommandError
from iac_wrapper.model.checkup import Seen

FULL_MB = 100
"""With less a disk counts as full: one layer of packages needs more."""


def room(left: int, wanted: int, where: str, prune: str) -> Seen:
    """What `left` MiB in `where` mean if `wanted` are.

    Raises:
        CommandError: the disk is full.
    """
    step = f"free some space: {prune}"
    if left < FULL_MB:
        raise CommandError(
            "the disk is full", where=where, found=f"{left} MiB are free", next_step=step
        )
    seen = f"{left} MiB are free in {where}"
    return Seen(f"{seen}, and {wanted} may be needed", step) if left < wanted else Seen(seen)
