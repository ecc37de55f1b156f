"""Leaves change while calls go on: by rotation, by a bad pair, by another trust."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from iac_wrapper.files.layout import Layout, network_name
from iac_wrapper.identity import handshake
from iac_wrapper.identity.certificates import ensure_ca, ensure_leaf
from iac_wrapper.operations.workspace import Workspace
from iac_wrapper.settings import Settings
from tests.e2e.conftest import ROOT, Project
from tests.reliability.conftest import Record, until
from tests.support import certs_lab
from tests.support.load import Load, Result
from tests.support.probe import Probed, answered, call, probing

pytestmark = pytest.mark.reliability

ROTATIONS = 20
SECONDS = 1.0
"""Within which a new leaf is promised to be served."""


def _workspace(project: Project) -> Workspace:
    return Workspace(Layout(ROOT), Settings(), project.name, lambda _: None)


def port(project: Project) -> int:
    """The gateway's."""
    lock = _workspace(project).applied_lock()
    assert lock
    return lock.gateway_port


def leaf(project: Project, name: str) -> Path:
    """The folder of a leaf."""
    return Layout(ROOT).certificates(project.name) / name


def _figures(inside: Result, fresh: Probed) -> str:
    return f"{len(inside.failed)} + {len(fresh.failed)} failed"


@pytest.mark.row(1)
def test_twenty_rotations_lose_nothing(mesh: Project, record: Record) -> None:
    """Calls of a program over kept and over fresh connections, and fresh handshakes of ours."""
    gateway, folder = port(mesh), leaf(mesh, "control-plane")
    load, took = Load(mesh.container("caller", "app"), "web", fresh=2), []
    with ExitStack() as stack:
        fresh = stack.enter_context(probing(partial(answered, gateway, "web", folder)))
        try:
            for _ in range(ROTATIONS):
                done = json.loads(mesh.iac("certs", "rotate", "web", "caller", "--json").stdout)
                took += [each["served_seconds"] for each in done["rotated"]]
        finally:
            inside = load.end()
    refused = [certs_lab.refused(_workspace(mesh), name) for name in ("web", "caller")]
    record(
        f"{ROTATIONS} rotations of caller and callee by `iac certs rotate`",
        f"{inside.sent} calls of a program, {fresh.sent} fresh handshakes with a call",
        f"{_figures(inside, fresh)}; {len(fresh.seen)} certificates seen; slowest new serial"
        f" {max(took):.2f} s; key mismatches {refused}; longest gap {inside.gap:.2f} s",
    )
    assert (inside.failed, fresh.failed) == ([], [])
    assert len(fresh.seen) == ROTATIONS + 1
    assert max(took) < 3 * SECONDS
    assert refused == [0, 0]


@pytest.mark.row(2)
def test_a_bad_pair_and_another_trust_lose_nothing(
    mesh: Project, record: Record, tmp_path: Path
) -> None:
    """A key that does not fit, the rotation that heals it, then a second authority comes and goes
    in the callee's trust while its leaf stays."""
    gateway, own, web = port(mesh), leaf(mesh, "control-plane"), leaf(mesh, "web")
    other = _stranger(mesh, tmp_path)
    load = Load(mesh.container("caller", "app"), "web", fresh=2)
    with probing(partial(answered, gateway, "web", own)) as fresh:
        try:
            bad = _generation(web, "..bad")
            _write(bad / "tls.key", (leaf(mesh, "caller") / "tls.key").read_bytes())
            _swap(web, bad)
            until(lambda: certs_lab.refused(_workspace(mesh), "web"), 10)
            mesh.iac("certs", "rotate", "web")
            before = _is_in(gateway, other)
            both = _generation(web, "..both")
            _write(both / "ca.crt", (web / "ca.crt").read_bytes() + (other / "ca.pem").read_bytes())
            _swap(web, both)
            let_in = until(lambda: _is_in(gateway, other), 10)
            alone = _generation(web, "..alone")
            _write(alone / "ca.crt", (own / "ca.crt").read_bytes())
            _swap(web, alone)
            refused = until(lambda: not _is_in(gateway, other), 10)
        finally:
            inside = load.end()
    mesh.iac("certs", "rotate", "web")
    record(
        "a foreign key for the leaf, `iac certs rotate`, then an authority added and removed",
        f"{inside.sent} calls of a program, {fresh.sent} fresh handshakes with a call",
        f"{_figures(inside, fresh)}; a client of the other authority is let in after"
        f" {let_in:.2f} s, refused {refused:.2f} s after its removal",
    )
    assert (inside.failed, fresh.failed) == ([], [])
    assert not before


def _stranger(project: Project, folder: Path) -> Path:
    """A leaf of our name by another authority, which trusts ours."""
    issuer = ensure_ca(folder / "other")
    made = ensure_leaf(
        issuer,
        folder / "leaf",
        name="control-plane",
        trust_domain=network_name(project.name),
        owner_uid=os.geteuid(),
    ).directory
    (made / "ca.pem").write_bytes((made / "ca.crt").read_bytes())
    trusted = made / "own.crt"
    trusted.write_bytes((leaf(project, "control-plane") / "ca.crt").read_bytes())
    trusted.replace(made / "ca.crt")
    return made


def _is_in(gateway: int, folder: Path) -> bool:
    try:
        return call(gateway, "web", folder) == 200
    except handshake.HandshakeError:
        return False


def _generation(folder: Path, name: str) -> Path:
    """A copy of the current files, of the same owners."""
    current, made = (folder / "..data").resolve(), folder / name
    shutil.copytree(current, made)
    made.chmod(0o755)
    for each in current.iterdir():
        os.chown(made / each.name, each.stat().st_uid, each.stat().st_gid)
    return made


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _swap(folder: Path, generation: Path) -> None:
    link = folder / "..new"
    link.symlink_to(generation.name)
    link.replace(folder / "..data")
