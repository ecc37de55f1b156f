"""Exposed services come, change and go for 20 s while people use another one over HTTPS."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import pytest

from tests.e2e.conftest import Project, git_server, project
from tests.support.certificate_lab import Issuer
from tests.support.git_server import GitServer, Repository
from tests.support.pebble import free_port
from tests.support.people import requests, secure
from tests.support.rollouts import server

__all__ = ["git_server", "project"]

pytestmark = pytest.mark.reliability

RATE, THREADS, SECONDS = 300, 6, 20.0
CA = Issuer("Test CA")


def entry(project: Project, name: str, *, exposed: bool = True) -> str:
    """An entry, whose host has a certificate of its own."""
    host = f"{name}.example.com"
    files = [project.folder / f"{name}.{kind}" for kind in ("pem", "key")]
    if not files[0].exists():
        pair = CA.pair(host)
        files[0].write_bytes(pair.chain)
        files[1].touch(mode=0o600)
        files[1].write_bytes(pair.key)
    text = f"- slug: gh:acme/{name}\n  port: 8080\n"
    if exposed:
        text += f"  expose: {{host: {host}, tls: files, cert: {name}.pem, key: {name}.key}}\n"
    return text


def test_services_come_change_and_go_unnoticed_by_others(
    project: Project, git_server: GitServer, tmp_path: Path
) -> None:
    """No request fails and no connection ends, while hosts with certificates come and go in the
    listener that people are connected to."""
    ports = {"IAC_HTTP_PORT": str(free_port()), "IAC_HTTPS_PORT": str(free_port())}
    project.environment |= ports | {"IAC_INGRESS_ADDRESS": "127.0.0.1"}
    for name in ("web", "late", "moved"):
        git_server.repository(f"acme/{name}").commit({"main.py": server(name)})
    web, late = entry(project, "web"), entry(project, "late")
    moved, hidden = entry(project, "moved"), entry(project, "moved", exposed=False)
    project.file.write_text(web + moved)
    project.deploy()
    trusted = tmp_path / "root.pem"
    trusted.write_bytes(CA.pem)
    connect = partial(secure, int(ports["IAC_HTTPS_PORT"]), "web.example.com", trusted)
    begun, deploys = time.monotonic(), 0
    with requests(connect, "web.example.com", rate=RATE, threads=THREADS) as seen:
        while time.monotonic() < begun + SECONDS:
            for entries in (web + late + moved, web + late + hidden, web + moved):
                Repository(git_server.folder / "acme" / "moved").commit(
                    {"main.py": server(f"version {deploys}")}
                )
                project.file.write_text(entries)
                project.deploy("--prune")
                deploys += 1
    seconds = time.monotonic() - begun
    print(
        f"\n{seen.done} requests in {seconds:.0f} s, {len(seen.failed)} failed,"
        f" {seen.connections} connections, {deploys} deploys"
    )
    assert seen.failed == []
    assert seen.connections == THREADS
    assert seen.done > 0.9 * RATE * seconds
