"""Nothing in flight is lost when a half of a service is stopped: real programs, real Envoys."""

from __future__ import annotations

import json

import pytest

from tests.e2e.conftest import Project
from tests.support.git_server import GitServer
from tests.support.slow_calls import start, stop_and_start

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def deployed(project: Project, git_server: GitServer) -> Project:
    """A server with and one without a handler for SIGTERM, and their caller."""
    start(project, git_server)
    return project


def test_calls_in_flight_end_well(deployed: Project) -> None:
    """Eight of eight, whichever container is told to stop and whatever the program does then; and
    the stop takes no longer than they do. New calls wait for the next start."""
    assert stop_and_start(deployed, {"rude": "app", "polite": "envoy"}) < 6


_ATTACK = """
import ctypes, json, os, re, socket
libc = ctypes.CDLL(None, use_errno=True)
status = open('/proc/1/status').read()
told = {'runner': dict(re.findall(r'^(Cap\\w+|Uid|NoNewPrivs):\\s*(.*)$', status, re.M))}
told['trace'] = libc.ptrace(16, 1, 0, 0)  # PTRACE_ATTACH
for path in ('environ', 'mem', 'fd'):
    try:
        os.listdir(f'/proc/1/{path}') if path == 'fd' else open(f'/proc/1/{path}').read(1)
        told[path] = 'read'
    except OSError as error:
        told[path] = error.strerror
try:
    os.kill(1, 19)
    told['kill'] = 'sent'
except OSError as error:
    told['kill'] = error.strerror
own = open('/proc/self/status').read()
told['own'] = re.findall(r'^Cap(?:Eff|Prm|Inh|Amb):\\s*(.*)$', own, re.M)
with socket.socket(socket.AF_UNIX) as word:
    word.connect('\\0iac-pair')
    word.settimeout(5)
    told['word'] = word.recv(10).decode()
told['stdout'] = open('/dev/stdout', 'w').write('')
print(json.dumps(told))
"""


def test_a_program_cannot_reach_its_runner(deployed: Project) -> None:
    """It has no capability and another uid than PID 1, which keeps CAP_KILL alone; what the kernel
    refuses is refused."""
    argv = deployed.argv("exec", "caller")
    done = deployed.run([*argv, "--", "python", "-c", _ATTACK])
    told = json.loads(done.stdout)
    first = int(deployed.container("caller", "app").labels["org.karstkit.uids"].split()[0])
    runner = told.pop("runner")
    assert runner["Uid"].split() == [str(first + 2)] * 4
    kept = {name: int(value, 16) for name, value in runner.items() if name.startswith("Cap")}
    assert kept == {"CapInh": 0, "CapPrm": 32, "CapEff": 32, "CapBnd": 0, "CapAmb": 0}
    assert runner["NoNewPrivs"] == "1"
    refused = ("Permission denied", "Operation not permitted")
    assert told["trace"] == -1
    assert all(told[what] in refused for what in ("environ", "mem", "fd", "kill"))
    assert not any(int(each, 16) for each in told["own"])
    assert told["word"] == ""
