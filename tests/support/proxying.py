"""`iac proxy` as a person runs it, in a process of its own."""

from __future__ import annotations

import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.e2e.conftest import ROOT, Project

plain = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
"""Opens a URL of this machine, whatever proxy of its own the machine has."""


@dataclass
class Proxy:
    """A running command, and the local port that it said."""

    process: subprocess.Popen[str]
    port: int

    def end(self, with_signal: signal.Signals) -> float:
        """Send a signal and wait; how long it took, in seconds."""
        began = time.monotonic()
        self.process.send_signal(with_signal)
        self.process.wait(20)
        return time.monotonic() - began


@contextmanager
def proxying(project: Project, *words: str) -> Iterator[Proxy]:
    """Run it as long as the block does, or until the test ends it."""
    # As at a terminal: what a shell starts in the background is told to ignore Ctrl-C.
    argv = ["env", "--default-signal=INT", *project.argv("proxy", *words)]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            line = process.stdout.readline()
            port = line.strip().rstrip("/").rpartition(":")[2]
            assert port.isdecimal(), line
            yield Proxy(process, int(port))
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


def containers(project: Project) -> list[Any]:
    """Those of ways that are open."""
    label = {"label": [project.label["label"], "org.karstkit.role=operator"]}
    found: list[Any] = project.engine.containers.list(all=True, filters=label, ignore_removed=True)
    return found
