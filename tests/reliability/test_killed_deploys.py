"""`iac deploy` killed anywhere, again and again: the next one ends well, and nothing stays."""

from __future__ import annotations

import hashlib
import json
import os
import random
import secrets
import signal
import subprocess
import time

import pytest

from iac_wrapper.files.layout import Layout
from tests.e2e.conftest import NO_SPARE, ROOT, Project
from tests.reliability.conftest import Record
from tests.support.load import Load
from tests.support.rollouts import deploy_when_free, server

pytestmark = [pytest.mark.reliability, pytest.mark.row(10)]

KILLS = 10


def _version(project: Project, text: str) -> None:
    (project.folder / "web" / "main.py").write_text(server(text))


def _killed_after(project: Project, seconds: float) -> bool:
    """Whether a deploy still ran when it was killed, with no chance to clean up."""
    running = subprocess.Popen(
        project.argv("deploy", "--file", str(project.file)),
        cwd=ROOT,
        env={**os.environ, **NO_SPARE, **project.environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        running.wait(seconds)
    except subprocess.TimeoutExpired:
        running.kill()
    return running.wait(60) == -signal.SIGKILL


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
    whole, killed, at = time.monotonic() - began, 0, []
    load = Load(mesh.container("caller", "app"), "web")
    try:
        for number in range(KILLS):
            _version(mesh, f"version {number}")
            at.append(points.uniform(0.2, whole))
            killed += _killed_after(mesh, at[-1])
            assert deploy_when_free(mesh)["verdict"] == "ok", f"killed after {at[-1]:.1f} s"
            assert {*mesh.container_ids()} == before
    finally:
        inside = load.end()
        _version(mesh, "one")
        mesh.deploy()
    planned = json.loads(mesh.iac("plan", "--file", str(mesh.file), "--json").stdout)
    record(
        f"a deploy of a new version killed after {min(at):.1f} to {max(at):.1f} s of"
        f" {whole:.1f} s (seed {seed}), then deployed",
        f"{killed} of {KILLS} still ran, {inside.sent} calls meanwhile",
        f"{KILLS} of {KILLS} converged; no orphans; authority unchanged;"
        f" {len(inside.failed)} calls failed",
    )
    assert inside.last == f"version {KILLS - 1}"
    assert inside.failed == []
    assert planned["empty"]
    assert _authority() == authority
