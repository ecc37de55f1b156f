"""Exposed services come, change and go for 20 s while people use another one over HTTPS, and a
server renews its certificate.

The tests share one project and run in order.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.e2e.conftest import IAC, ROOT, Project, git_server, project
from tests.support.certificate_lab import Issuer, write
from tests.support.git_server import GitServer, Repository
from tests.support.pebble import free_port
from tests.support.people import Connect, requests, secure, serial
from tests.support.rollouts import server

__all__ = ["git_server", "project"]

pytestmark = pytest.mark.reliability

RATE, THREADS, SECONDS = 300, 6, 20.0
HOST = "web.example.com"
CA = Issuer("Test CA")

Ask = Callable[[], str]


def entry(project: Project, name: str) -> str:
    """An entry, whose host has a new certificate of its own."""
    pair = CA.pair(f"{name}.example.com")
    write(project.folder / name, pair.chain, pair.key)
    files = f"cert: {name}/fullchain.pem, key: {name}/privkey.pem"
    return f"{hidden(name)}  expose: {{host: {name}.example.com, tls: files, {files}}}\n"


def hidden(name: str) -> str:
    return f"- slug: gh:acme/{name}\n  port: 8080\n"


@pytest.fixture(scope="module")
def people(
    project: Project, git_server: GitServer, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Connect, Ask]:
    """How people connect to a service that is deployed with another one, and the number of the
    certificate that they get."""
    ports = {"IAC_HTTP_PORT": str(free_port()), "IAC_HTTPS_PORT": str(free_port())}
    project.environment |= ports | {"IAC_INGRESS_ADDRESS": "127.0.0.1"}
    for name in ("web", "late", "moved"):
        git_server.repository(f"acme/{name}").commit({"main.py": server(name)})
    project.file.write_text(entry(project, "web") + entry(project, "moved"))
    project.deploy()
    trusted = tmp_path_factory.mktemp("roots") / "root.pem"
    trusted.write_bytes(CA.pem)
    at = int(ports["IAC_HTTPS_PORT"])
    return partial(secure, at, HOST, trusted), partial(serial, at, HOST, trusted)


def test_services_come_change_and_go_unnoticed_by_others(
    people: tuple[Connect, Ask], project: Project, git_server: GitServer
) -> None:
    """No request fails and no connection ends, while hosts with certificates come and go in the
    listener that people are connected to."""
    web = project.file.read_text().partition("- slug: gh:acme/moved")[0]
    late, moved = entry(project, "late"), entry(project, "moved")
    begun, deploys = time.monotonic(), 0
    with requests(people[0], HOST, rate=RATE, threads=THREADS) as seen:
        while time.monotonic() < begun + SECONDS:
            for entries in (web + late + moved, web + late + hidden("moved"), web + moved):
                deploys += 1
                version = {"main.py": server(f"version {deploys}")}
                Repository(git_server.folder / "acme" / "moved").commit(version)
                project.file.write_text(entries)
                project.deploy("--prune")
        seconds = time.monotonic() - begun
    print(
        f"\n{seen.done} requests in {seconds:.0f} s, {len(seen.failed)} failed,"
        f" {seen.connections} connections, {deploys} deploys"
    )
    assert seen.failed == []
    assert seen.connections == THREADS
    assert seen.done > 0.9 * RATE * seconds


def test_a_server_renews_and_fails_nobody(
    people: tuple[Connect, Ask], project: Project, tmp_path: Path
) -> None:
    """`iac admin serve` looks when it starts; a changed file is due."""
    connect, number = people
    before = number()
    entry(project, "web")
    chosen = {
        "IAC_ADMIN_BIND": "127.0.0.1:0",
        "IAC_ADMIN_GRPC": "off",
        "IAC_ADMIN_SOCKET": str(tmp_path / "api.sock"),
        "SUPABASE_URL": "",
        "SUPABASE_SERVICE_ROLE_KEY": "",
    }
    argv, environ = [IAC, "admin", "serve"], {**os.environ, **project.environment, **chosen}
    with requests(connect, HOST, rate=RATE, threads=THREADS) as seen:
        with subprocess.Popen(
            argv, cwd=ROOT, env=environ, stderr=subprocess.PIPE, text=True
        ) as served:
            until = time.monotonic() + 20
            while number() == before and time.monotonic() < until:
                time.sleep(0.1)
            served.terminate()
            _, said = served.communicate(timeout=20)
        time.sleep(0.5)
    print(f"\n{seen.done} requests, {len(seen.failed)} failed, {seen.connections} connections")
    assert number() != before, said
    assert seen.failed == []
    assert seen.connections <= 2 * THREADS
