"""A server that is busy, a transfer that broke: wait, and ask again, but not for long."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from iac_wrapper.errors import SourceError

PAUSES = (1.0, 4.0)
"""Seconds before the second and the third try, where the server asks for nothing else."""

MAX_WAIT = 60.0
"""Seconds: what a server asks for beyond them is left to the user, who can do something else."""

T = TypeVar("T")


class TransientError(SourceError):
    """What may be gone in seconds; `wait` are those that the server asks for, if it does."""

    wait: float | None = None


def patiently(call: Callable[[], T], say: Callable[[str], None]) -> T:
    """What `call` returns, which is called again after a pause while it fails in passing.

    Raises:
        TransientError: it failed to the end, or the server asks for too long a wait.
    """
    for pause in PAUSES:
        try:
            return call()
        except TransientError as error:
            wait = pause if error.wait is None else error.wait
            if wait > MAX_WAIT:
                error.next_step = f"try again in {wait:.0f} s, as the server asks"
                raise
            say(f"{error.found}: {error.message}; trying again in {wait:g} s")
            time.sleep(wait)
    return call()


def retry_after(value: str | None) -> float | None:
    """Seconds that a ``Retry-After`` header asks for: a number or a date (RFC 9110, 10.2.3)."""
    if value is None:
        return None
    if re.fullmatch(r"\s*[0-9]{1,9}\s*", value):
        return float(value)
    try:
        at = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
