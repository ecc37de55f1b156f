"""Work beside the supervisor that must not end before the container does."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable

from runner.sidecar.log import say

PAUSE_SECONDS = 1.0


def keep(step: Callable[[], None]) -> None:
    """Call `step` for ever, on a thread that ends with the process.

    A fault is a line of the log and a pause: without names or endpoint a service is lost, and the
    next step may well succeed.
    """
    threading.Thread(target=_run, args=(step,), daemon=True).start()


def _run(step: Callable[[], None]) -> None:
    while True:
        try:
            step()
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            say(f"{type(error).__name__}: {error} ({place.name}, line {place.lineno})")
            time.sleep(PAUSE_SECONDS)
