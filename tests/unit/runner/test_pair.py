"""What the runner does until Envoy is there."""

from __future__ import annotations

import signal
import socket
import threading
import time

import pytest

from runner.pair import await_outbound


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_a_program_waits_until_its_calls_are_taken() -> None:
    """And no longer."""
    port = _free_port()
    opened: list[socket.socket] = []
    timer = threading.Timer(0.2, lambda: opened.append(socket.create_server(("127.0.0.1", port))))
    timer.start()
    began = time.monotonic()
    assert await_outbound(port, 5)
    assert 0.1 < time.monotonic() - began < 3
    opened[0].close()


@pytest.mark.parametrize("told", [False, True])
def test_a_program_does_not_wait_for_ever(told: bool) -> None:
    """Without an Envoy for the time that is given, and not at all when it is to stop."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    began = time.monotonic()
    try:
        if told:
            signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
        assert not await_outbound(_free_port(), 60 if told else 0.1)
        assert time.monotonic() - began < 5
    finally:
        signal.sigtimedwait({signal.SIGTERM}, 0)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
