"""A signal ends a wait of the main thread, though another thread got it."""

from __future__ import annotations

import subprocess
import sys

WAITS = """
import signal, threading, time
from iac_wrapper.cli.signals import wake_main_thread

wake_main_thread()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
stop = threading.Event()

def send():
    time.sleep(0.2)  # until the main thread waits
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
    time.sleep(60)

threading.Thread(target=send, daemon=True).start()
stop.wait()
print("stopped")
"""


def test_a_signal_of_another_thread_wakes_the_main_thread() -> None:
    """Without it the wait, which has no end of its own, would go on."""
    done = subprocess.run(
        [sys.executable, "-c", WAITS], capture_output=True, text=True, check=False, timeout=30
    )
    assert (done.stdout, done.stderr) == ("stopped\n", "")
