"""Signals that reach the main thread whatever it waits for.

The kernel may give a signal to any thread. Python then runs the handler in the main thread, but
does not wake it: in a wait without end, for a lock or a child process, it would never run.
"""

from __future__ import annotations

import os
import signal
import threading
from functools import cache

_NUDGE = signal.SIGURG
"""Interrupts a system call of the main thread; nobody sends it to us; ignored by default."""


@cache
def wake_main_thread() -> None:
    """From now on, let every signal with a handler interrupt the main thread, which must call this.

    Python writes the numbers of signals to a pipe, in whichever thread they come.
    """
    readable, writable = os.pipe()
    os.set_blocking(writable, False)
    signal.signal(_NUDGE, lambda *_: None)
    signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
    main = threading.main_thread().ident
    assert main is not None  # noqa: S101 - it runs
    threading.Thread(target=_nudge, args=(readable, main), name="signals", daemon=True).start()


def _nudge(readable: int, main: int) -> None:
    while number := os.read(readable, 1):
        if number[0] != _NUDGE:
            signal.pthread_kill(main, _NUDGE)
