"""Public hosts from end to end: a certificate of a real ACME server, one of the user's, and none.

The tests share one project and run in order.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.e2e.conftest import Project
from tests.support.certificate_lab import Issuer
from tests.support.git_server import GitServer
from tests.support.pebble import Pebble, free_port, pebble
from tests.support.people import requests, secure, serial
from tests.support.rollouts import server

pytestmark = pytest.mark.integration

APP, OWN, LOST = "app.example.com", "own.example.com", "lost.example.com"
ENTRY = f"""
- slug: gh:acme/web
  port: 8080
  expose:
    - host: {APP}
    - {{host: {OWN}, tls: files, cert: certs/own.pem, key: certs/own.key}}
    - {{host: {LOST}}}
"""
CA = Issuer("Test CA")


@pytest.fixture(scope="module")
def acme(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pebble]:
    """It fetches proofs from the project's own HTTP port, and cannot resolve one of the names."""
    ports = {"IAC_HTTP_PORT": str(free_port()), "IAC_HTTPS_PORT": str(free_port())}
    project.environment |= ports | {"IAC_INGRESS_ADDRESS": "127.0.0.1"}
    folder = tmp_path_factory.mktemp("pebble")
    with pebble(folder, http_port=int(ports["IAC_HTTP_PORT"])) as running:
        running.lose(LOST)
        project.environment |= running.settings()
        yield running


@pytest.fixture(scope="module")
def trusted(acme: Pebble, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pebble's authority and the one of the user's certificates."""
    path = tmp_path_factory.mktemp("roots") / "roots.pem"
    path.write_bytes(acme.root() + CA.pem)
    return path


@pytest.fixture(scope="module")
def first(
    project: Project, acme: Pebble, git_server: GitServer
) -> subprocess.CompletedProcess[str]:
    """The first deploy."""
    git_server.repository("acme/web").commit({"main.py": server("web")})
    (project.folder / "certs").mkdir()
    bring(project)
    project.file.write_text(ENTRY)
    return project.iac("deploy", "--file", str(project.file))


def bring(project: Project) -> None:
    """Put a new certificate of the user's beside the repos file."""
    pair = CA.pair(OWN)
    (project.folder / "certs" / "own.pem").write_bytes(pair.chain)
    key = project.folder / "certs" / "own.key"
    key.touch(mode=0o600)
    key.write_bytes(pair.key)


def port(project: Project, name: str = "HTTPS") -> int:
    return int(project.environment[f"IAC_{name}_PORT"])


def curl(project: Project, url: str, *more: str) -> str:
    """Status, version of HTTP and Location of an answer, whose certificate must be trusted."""
    shown = "%{http_code} %{http_version} %{redirect_url}"
    ports = port(project, "HTTP"), port(project)
    places = [f"{host}:{at}:127.0.0.1" for host in (APP, OWN, LOST) for at in ports]
    resolved = [word for place in places for word in ("--resolve", place)]
    argv = ["curl", "-sS", "-o", "/dev/null", "-w", shown, *resolved, *more, url]
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=20).stdout


def test_a_deploy_ends_with_urls_that_browsers_take(
    first: subprocess.CompletedProcess[str], project: Project, trusted: Path
) -> None:
    """The certificates are trusted, plain HTTP leads to HTTPS. A host for which none can be had
    says why, once as a warning and beside its URL, and is in nobody's way."""
    at, http = port(project), port(project, "HTTP")
    assert f"web: https://{APP}:{at}/\n" in first.stdout
    ca = ("--cacert", str(trusted))
    assert curl(project, f"https://{APP}:{at}/", *ca) == "200 2 "
    assert curl(project, f"https://{APP}:{at}/", *ca, "--http1.1") == "200 1.1 "
    assert curl(project, f"https://{OWN}:{at}/", *ca) == "200 2 "
    assert curl(project, f"http://{APP}:{http}/a?b") == f"308 1.1 https://{APP}:{at}/a?b"
    assert curl(project, f"http://{LOST}:{http}/") == "503 1.1 "
    (line,) = [each for each in first.stdout.splitlines() if f"https://{LOST}:" in each]
    assert "/ (no certificate yet: " in line
    assert "SERVFAIL" in line
    assert len(re.findall(rf"^warning: .*{LOST}", first.stderr, re.M)) == 1, first.stderr


def test_a_second_deploy_asks_nothing(
    first: subprocess.CompletedProcess[str], project: Project, acme: Pebble
) -> None:
    """Nothing is due, and who failed is not asked for again at once."""
    orders = acme.orders
    assert orders >= 2
    assert project.deploy()["plan"]["empty"]
    assert acme.orders == orders


def test_a_renewal_is_noticed_by_nobody(
    first: subprocess.CompletedProcess[str], project: Project, trusted: Path
) -> None:
    """New connections get the new certificate, those that are open go on; the plan stays empty."""
    before = serial(port(project), APP, trusted)
    connect = partial(secure, port(project), APP, trusted)
    with (
        requests(connect, APP, rate=100, threads=2) as kept,
        requests(connect, APP, rate=50, threads=2, keep=False) as anew,
    ):
        time.sleep(0.5)
        project.iac("renew", APP, "--force")
        until = time.monotonic() + 5
        while serial(port(project), APP, trusted) == before:
            assert time.monotonic() < until, "the old certificate is served"
            time.sleep(0.05)
        time.sleep(0.5)
    print(kept, anew)
    assert [*kept.failed, *anew.failed] == []
    assert kept.connections == 2
    assert kept.done > 100
    assert anew.done > 50
    project.iac("plan", "--file", str(project.file), "--detailed-exitcode")


def test_a_changed_file_is_served_after_a_deploy(
    first: subprocess.CompletedProcess[str], project: Project, trusted: Path
) -> None:
    """The plan says it. A key of another certificate is refused before anything changes."""
    before, ids = serial(port(project), OWN, trusted), project.container_ids()
    key = project.folder / "certs" / "own.key"
    old = key.read_bytes()
    bring(project)
    said = project.iac("plan", "--file", str(project.file), "--detailed-exitcode", code=2).stdout
    assert f"~ ingress: no restart (new certificate for {OWN})" in said
    new = key.read_bytes()
    key.write_bytes(old)
    refused = project.iac("deploy", "--file", str(project.file), code=4).stderr
    assert "own.key" in refused
    assert serial(port(project), OWN, trusted) == before
    key.write_bytes(new)
    project.iac("deploy", "--file", str(project.file))
    assert serial(port(project), OWN, trusted) != before
    assert project.container_ids() == ids


def test_an_ingress_that_does_not_answer_is_not_good(
    first: subprocess.CompletedProcess[str], project: Project
) -> None:
    """Whatever services say among themselves: people get nothing."""
    ingress = project.engine.containers.get(f"{project.name}-ingress")
    ingress.pause()
    try:
        done = project.iac("health", code=7)
    finally:
        ingress.unpause()
    assert f"https://{APP}:{port(project)}/ (does not answer: " in done.stdout
    assert "web: people do not reach it: " in done.stderr
    project.iac("health")
