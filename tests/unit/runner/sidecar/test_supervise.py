"""Envoy is started again, or the container ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

from runner.sidecar import supervise as supervise_module

DRIVER = """
import sys
sys.path.insert(0, {root!r})
from runner.sidecar.supervise import EnvoySupervisor
print("supervising", flush=True)
drain = lambda: print("drained", flush=True)
sys.exit(EnvoySupervisor(["/bin/sh", "-c", {script!r}], 3, 0.3).run(drain))
"""


def supervise(script: str) -> subprocess.Popen[str]:
    root = str(Path(supervise_module.__file__).parents[2])
    driver = DRIVER.format(root=root, script=script)
    return subprocess.Popen(
        [sys.executable, "-c", driver],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_program_that_dies_is_started_again_at_once(tmp_path: Path) -> None:
    """The second life begins within the same second, and SIGTERM ends it after draining."""
    mark = tmp_path / "lives"
    script = f"echo life; [ -e {mark} ] && exec sleep 60; touch {mark}; kill -9 $$"
    with supervise(script) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline().strip() for _ in range(3)]
        assert lines == ["supervising", "life", "life"]
        begin = time.monotonic()
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=10)
        assert time.monotonic() - begin < 1.5
    assert out.splitlines() == ["drained"]
    assert "envoy ended (SIGKILL)" in err
    assert process.returncode == 0


def test_a_program_that_keeps_failing_ends_the_container() -> None:
    """After the third quick end here; the log names exit status and number."""
    with supervise("exit 7") as process:
        _, err = process.communicate(timeout=10)
    assert err.count("envoy ended (exit 7)") == 3
    assert err.rstrip().endswith("envoy failed 3 times in a row, giving up")
    assert process.returncode == 1


def test_a_program_that_ignores_sigterm_is_killed() -> None:
    """Within Docker's stop timeout, and orphans it left are reaped on the way."""
    with supervise("trap '' TERM; (sleep 0.05 &); echo up; while :; do sleep 0.1; done") as process:
        assert process.stdout is not None
        assert [process.stdout.readline().strip() for _ in range(2)] == ["supervising", "up"]
        begin = time.monotonic()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=10)
        assert 0.3 <= time.monotonic() - begin < 2
    assert process.returncode == 0
