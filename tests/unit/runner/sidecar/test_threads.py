"""Threads of PID 1 outlive a fault."""

from __future__ import annotations

import threading

import pytest

from runner.sidecar import threads


def test_a_fault_is_a_line_and_not_the_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The next step is made after a pause."""
    monkeypatch.setattr(threads, "PAUSE_SECONDS", 0.0)
    again = threading.Event()
    steps = iter([lambda: 1 / 0, again.set])

    def step() -> None:
        next(steps, threading.Event().wait)()

    threads.keep(step)
    assert again.wait(5)
    assert "sidecar: ZeroDivisionError: division by zero" in capsys.readouterr().err
