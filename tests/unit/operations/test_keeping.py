"""The process that keeps a project: a newer one takes the place of one that hangs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from iac_wrapper.operations import keeping
from iac_wrapper.operations.workspace import Workspace

HOLD = """
import os, signal, sys, time
from pathlib import Path
from iac_wrapper.files import file_lock
signal.signal(signal.SIGTERM, signal.SIG_IGN if sys.argv[2] == "deaf" else signal.SIG_DFL)
fd = file_lock.acquire(Path(sys.argv[1]))
os.write(fd, b'{"pid": %d, "background": true}' % os.getpid())
print("held", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("how", ["stopped", "deaf"])
def test_one_that_hangs_is_ended(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Stopped by a signal, or deaf to being told to end."""
    monkeypatch.setattr(keeping, "END_SECONDS", 0.5 if how == "deaf" else 10.0)
    path = workspace.layout.keeper(workspace.project)
    path.parent.mkdir(parents=True)
    argv = [sys.executable, "-c", HOLD, str(path), how]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as held:
        assert held.stdout
        held.stdout.readline()
        assert json.loads(path.read_text())["pid"] == held.pid
        if how == "stopped":
            os.kill(held.pid, signal.SIGSTOP)
        try:
            assert keeping.is_kept(workspace)
            assert keeping.end(workspace)
            assert -held.wait(10) == (signal.SIGKILL if how == "deaf" else signal.SIGTERM)
        finally:
            held.kill()
