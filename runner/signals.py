"""The signals that PID 1 of the app container takes: to stop, to pass on, of children."""

from __future__ import annotations

import signal

STOP = (signal.SIGTERM, signal.SIGINT)
PASS_ON = (signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH)
SIGNALS = (*STOP, *PASS_ON, signal.SIGCHLD)
