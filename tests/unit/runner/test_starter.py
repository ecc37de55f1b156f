"""The starter: programs of another user than PID 1's, which are PID 1's children all the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.unit.runner.conftest import ROOT

PID_1 = """
import json, os, re, signal, sys
from runner import privileges, starter as starters
from runner.starter import Starter, StarterGoneError
starters.ANSWER_SECONDS = 1.0
starter = Starter(sys.argv[2:], 36000)
privileges.become(36002, kill=True)
told = {"caps": re.findall(r"^Cap(?:Eff|Prm|Bnd):\\t(.*)$", open("/proc/self/status").read(), re.M)}
pid, out, err = starter.start()
told["said"] = json.loads(os.read(out, 1000))
os.kill(pid, signal.SIGKILL)
told["ended"] = os.waitpid(pid, 0) == (pid, signal.SIGKILL)
told["orphans"] = starter.orphans()
os.kill(starter.pid, signal.Signals[sys.argv[1]])
try:
    starter.start()
except StarterGoneError:
    told["gone"] = os.waitpid(starter.pid, 0) == (starter.pid, signal.SIGKILL)
told["held"] = sorted(starter.held_below(1, {1}))
print(json.dumps(told))
"""

PROGRAM = """
import ctypes, json, os, re, time
def refused(act):
    try:
        act()
    except OSError as error:
        return error.strerror
watcher = os.getppid()
found = {
    "uid": os.getresuid(), "groups": os.getgroups(),
    "caps": re.findall(r"^Cap(?:Eff|Prm|Bnd):\\t(.*)$", open("/proc/self/status").read(), re.M),
    "stdout": refused(lambda: open("/dev/stdout", "w").close()),
    "signal": refused(lambda: os.kill(watcher, 0)),
    "environ": refused(lambda: open(f"/proc/{watcher}/environ").read()),
    "trace": ctypes.CDLL(None).ptrace(16, watcher, 0, 0),
}
print(json.dumps(found), flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(os.getuid() != 0, reason="root becomes two other users here")
@pytest.mark.parametrize("signal", ["SIGKILL", "SIGSTOP"])
def test_the_program_cannot_reach_what_watches_it(signal: str) -> None:
    """It has no capability and its own pipes; PID 1 keeps CAP_KILL, ends it and reaps it. A starter
    that the program has ended or stopped is told apart from a program that cannot be executed, and
    does not go on."""
    done = subprocess.run(
        [sys.executable, "-c", PID_1, signal, "/usr/bin/env", "python3", "-c", PROGRAM],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    )
    told = json.loads(done.stdout)
    none = "0" * 16
    assert told["caps"] == ["0" * 14 + "20"] * 2 + [none]
    said = told["said"]
    assert (said["uid"], said["groups"], said["caps"]) == ([36000] * 3, [], [none] * 3)
    assert (said["stdout"], said["trace"]) == (None, -1)
    assert said["signal"] == "Operation not permitted"
    assert said["environ"] == "Permission denied"
    assert (told["ended"], told["orphans"], told["gone"]) == (True, [], True)
    assert told["held"] == []
