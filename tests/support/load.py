"""Requests at a steady rate from inside a service, and what became of them."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

RATE = 200
"""Requests a second, over `THREADS` kept-alive connections."""

THREADS = 8

LONGEST_GAP = 3 * 0.25
"""Seconds: three times what is promised, because tests share their two cores."""

_RESULT = "/tmp/result"  # noqa: S108 - inside the container

_PROGRAM = """
import http.client, json, os, sys, threading, time
name, rate, threads, fresh = sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
done, failed, ended, lock = [], [], [], threading.Lock()
def run(number):
    connection = http.client.HTTPConnection(name, 8080, timeout=10)
    due = time.monotonic() + number / rate
    while not os.path.exists('/tmp/stop'):
        time.sleep(max(0, due - time.monotonic()))
        due = max(due + threads / rate, time.monotonic() - 1)
        asked = time.monotonic()
        try:
            connection.request('GET', '/')
            answer = connection.getresponse()
            body = answer.read().decode()
            if answer.status != 200:
                raise RuntimeError(f'{answer.status} {body[:200]}')
            answered = time.monotonic()
            with lock: done.append((answered, body, answered - asked))
        except Exception as error:
            with lock: failed.append((asked, f'{type(error).__name__} {error}'))
            connection.close()
        if number < fresh: connection.close()
    with lock: ended.append(time.monotonic())
all_threads = [threading.Thread(target=run, args=(n,)) for n in range(threads)]
for one in all_threads: one.start()
for one in all_threads: one.join()
done.sort()
# Up to the first thread that stops: those that go on after it are fewer, and so are their answers.
times = [one[0] for one in done if one[0] < min(ended)] + [min(ended)]
gap = max((b - a for a, b in zip(times, times[1:])), default=0)
seen = list(dict.fromkeys(one[1] for one in done))
failed.sort()
result = {'sent': len(done) + len(failed), 'failed': [text for _, text in failed],
          'begun': [asked for asked, _ in failed], 'gap': gap, 'seen': seen,
          'slowest': max((one[2] for one in done), default=0),
          'last': done[-1][1] if done else None}
open('/tmp/new', 'w').write(json.dumps(result))
os.rename('/tmp/new', '/tmp/result')
"""


@dataclass(frozen=True)
class Result:
    """`failed` are the reasons; `begun` when each of those calls began (the machine's monotonic
    clock); `gap` is the longest time between two answers, and `slowest` the longest that one took,
    seconds; `seen` the different answers as they first came; `last` the last one."""

    sent: int
    failed: list[str]
    begun: list[float]
    gap: float
    slowest: float
    seen: list[str]
    last: str | None


class Load:
    """A running load from the app container `caller` on the service `name`.

    Args:
        fresh: how many of `THREADS` connect anew for each request.
    """

    def __init__(self, caller: Any, name: str, *, fresh: int = 0) -> None:
        self._caller = caller
        self._exec("rm -f /tmp/stop /tmp/result")
        numbers = map(str, (RATE, THREADS, fresh))
        caller.exec_run(["/venv/bin/python", "-c", _PROGRAM, name, *numbers], detach=True)
        time.sleep(1)

    def end(self) -> Result:
        """Stop it and count."""
        self._exec("touch /tmp/stop")
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            code, output = self._caller.exec_run(["cat", _RESULT])
            if code == 0:
                return Result(**json.loads(output))
            time.sleep(0.2)
        raise AssertionError("the load did not end")

    def _exec(self, command: str) -> None:
        self._caller.exec_run(["sh", "-c", command])
