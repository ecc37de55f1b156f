"""When an ACME server may be asked again for a host, on disk: commands are many, and limits strict.

Let's Encrypt takes five failed proofs of a host in an hour, and five certificates for it in a week.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from iac_wrapper.errors import CertificateError
from iac_wrapper.files.atomic import write_text

_FIRST, _LONGEST = timedelta(minutes=15), timedelta(days=1)
"""The pause after the first failure, and the longest; each is twice the one before."""

_LIMITED = timedelta(hours=1)
"""The pause after ``rateLimited`` without a Retry-After."""


@dataclass(frozen=True)
class Pause:
    """After so many failures nothing is asked until `until` (UTC); the last said `found`."""

    failures: int
    until: datetime
    message: str
    found: str
    next_step: str

    def error(self, host: str) -> CertificateError:
        """The failure as it was."""
        return CertificateError(
            self.message,
            where=host,
            found=self.found,
            next_step=self.next_step,
            retryable=True,
        )


def load(folder: Path, host: str) -> Pause | None:
    """The pause that was recorded, over or not; None if there is none, or none that can be read."""
    try:
        data = json.loads(_path(folder, host).read_text(encoding="utf-8"))
        return Pause(
            int(data["failures"]),
            datetime.fromisoformat(data["until"]).astimezone(UTC),
            *(str(data[name]) for name in ("message", "found", "next_step")),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def record(
    folder: Path, host: str, error: CertificateError, *, limited: bool, until: datetime | None
) -> Pause:
    """Write down a failure, and until when to wait: as long as the server says, at least ours.

    Args:
        limited: the server said that there were too many requests; then its time alone counts.
    """
    before, now = load(folder, host), datetime.now(UTC)
    failures = before.failures + 1 if before else 1
    own = now + min(_FIRST * 2 ** min(failures - 1, 10), _LONGEST)
    if limited:
        own = until or now + _LIMITED
    pause = Pause(
        failures, max(own, until or own), error.message, error.found or "", error.next_step or ""
    )
    data = {
        "failures": pause.failures,
        "until": pause.until.isoformat(timespec="seconds"),
        "message": pause.message,
        "found": pause.found,
        "next_step": pause.next_step,
    }
    write_text(_path(folder, host), json.dumps(data, indent=2) + "\n", mode=0o600)
    return pause


def clear(folder: Path, host: str) -> None:
    """It worked."""
    _path(folder, host).unlink(missing_ok=True)


def _path(folder: Path, host: str) -> Path:
    return folder / "pauses" / f"{host}.json"
