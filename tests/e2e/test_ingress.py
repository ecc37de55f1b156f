"""Exposed services as people reach them: deployed, changed and removed while somebody looks.

The tests share one project and run in order.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Project
from tests.support.certificate_lab import Issuer, write
from tests.support.git_server import GitServer, Repository
from tests.support.pebble import Pebble, free_port, pebble
from tests.support.people import plain, requests, secure, serial
from tests.support.rollouts import server

pytestmark = pytest.mark.integration

RATE, THREADS = 300, 6
EXPOSED, HIDDEN = "  expose: true\n", ""


def entries(**exposed: str) -> str:
    """A repos file of these services."""
    return "".join(f"- slug: gh:acme/{n}\n  port: 8080\n{said}" for n, said in exposed.items())


WEB = entries(web=EXPOSED)
APP, OWN, LOST = "app.example.com", "own.example.com", "lost.example.com"
PUBLIC = f"""
- slug: gh:acme/web
  port: 8080
  expose:
    - host: {APP}
    - {{host: {OWN}, tls: files, cert: certs/fullchain.pem, key: certs/privkey.pem}}
    - host: {LOST}
"""
CA = Issuer("Test CA")


@pytest.fixture(scope="module")
def first(project: Project, git_server: GitServer) -> dict[str, Any]:
    """Three services with a URL and one without."""
    for name in ("web", "late", "moved", "old"):
        git_server.repository(f"acme/{name}").commit({"main.py": server(name)})
    project.file.write_text(entries(web=EXPOSED, late=HIDDEN, moved=EXPOSED, old=EXPOSED))
    return project.deploy()


def port(project: Project) -> int:
    """The loopback port, as the lock has it."""
    lock = json.loads((project.folder / "repos.lock.json").read_text())
    return int(lock["ingress_port"])


def get(project: Project, host: str) -> tuple[int, str]:
    """What a browser gets that resolved `host` to loopback."""
    connection = http.client.HTTPConnection("127.0.0.1", port(project), timeout=10)
    try:
        connection.request("GET", "/", headers={"Host": host})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def test_an_exposed_service_has_a_url(first: dict[str, Any], project: Project) -> None:
    """The verdict says it; it answers there, and nothing else does."""
    urls = {service["name"]: service["urls"] for service in first["services"]}
    at = port(project)
    assert (urls["web"], urls["late"]) == ([f"http://web.localhost:{at}/"], [])
    assert get(project, f"web.localhost:{at}") == (200, "web")
    assert get(project, "web.localhost") == (200, "web")
    for host in ("late.localhost", f"late.localhost:{at}", "evil.example", "127.0.0.1"):
        status, body = get(project, host)
        assert (status, "envoy" in body.lower()) == (421, False)


def test_the_ingress_lets_in_and_out_what_it_must(first: dict[str, Any], project: Project) -> None:
    """From the bridge its entrance is open and the control plane's, and it reaches mTLS ports only:
    so neither its own statistics nor a program's port can be had through it."""
    ingress = project.engine.containers.get(f"{project.name}-ingress")
    network = ingress.attrs["NetworkSettings"]["Networks"][f"iacnet-{project.name}"]
    address, bridge = network["IPAddress"], network["Gateway"]
    open_ports = [p for p in (8000, 8080, 8443, 9901, 15000, 15053) if _is_open(address, p)]
    assert open_ports == [8000, 15000]
    asked = (
        "import socket, sys; s = socket.socket(); s.settimeout(1);"
        f" sys.exit(s.connect_ex(('{bridge}', {port(project)})) == 0)"
    )
    code, _ = ingress.exec_run(["/opt/iac/python3", "-I", "-S", "-c", asked])
    assert code == 0
    state = ingress.exec_run(["cat", "/proc/1/status"])[1].decode()
    assert "CapEff:\t0000000000000000" in state


def _is_open(address: str, number: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((address, number)) == 0


def test_services_come_change_and_go_unnoticed_by_others(
    first: dict[str, Any], project: Project, git_server: GitServer
) -> None:
    """300 requests/s on one: none fails and no connection is closed while another is exposed, a
    third gets a new version and a fourth is exposed no more; the ingress stays, and the second plan
    is empty."""
    before = project.container_ids()
    Repository(git_server.folder / "acme" / "moved").commit({"main.py": server("two")})
    project.file.write_text(entries(web=EXPOSED, late=EXPOSED, moved=EXPOSED, old=HIDDEN))
    connect = partial(plain, port(project))
    with requests(connect, "web.localhost", rate=RATE, threads=THREADS) as seen:
        project.deploy()
        found = [get(project, f"{name}.localhost") for name in ("late", "moved", "old")]
    assert [found[0], found[1], found[2][0]] == [(200, "late"), (200, "two"), 421]
    assert seen.failed == []
    assert seen.connections == THREADS
    assert seen.done > 3 * RATE
    after = project.container_ids()
    for name in ("ingress", "gateway", "web-envoy", "web-app"):
        assert after[f"{project.name}-{name}"] == before[f"{project.name}-{name}"]
    project.iac("plan", "--file", str(project.file), "--detailed-exitcode")


def test_lost_files_come_back(first: dict[str, Any], project: Project) -> None:
    """By healing, which anybody may run; a deploy heals too."""
    folder = project.directory / "ingress"
    (folder / "routes-local.json").unlink()
    assert "the ingress's files: written again" in project.iac("heal").stdout
    assert (folder / "routes-local.json").is_file()
    assert get(project, "web.localhost") == (200, "web")


def test_a_public_port_that_is_taken_is_refused(first: dict[str, Any], project: Project) -> None:
    """Before anything is changed, naming who has it and for whom it is wanted."""
    ids = project.container_ids()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        project.environment["IAC_HTTP_PORT"] = str(taken.getsockname()[1])
        project.file.write_text(WEB.replace("true", "{host: app.example.com, tls: off}"))
        said = project.iac("deploy", "--file", str(project.file), "--prune", code=2).stderr
    assert f"port {project.environment['IAC_HTTP_PORT']} of this machine is in use" in said
    assert "a free one for app.example.com (web)" in said
    assert "the program " in said
    assert project.container_ids() == ids


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


def bring(project: Project) -> Path:
    """Put a new certificate of the user's beside the repos file; its key."""
    pair = CA.pair(OWN)
    files = write(project.folder / "certs", pair.chain, pair.key)
    return files.key


def https_port(project: Project) -> int:
    return int(project.environment["IAC_HTTPS_PORT"])


def curl(project: Project, url: str, *more: str) -> str:
    """Status, version of HTTP and Location of an answer, whose certificate must be trusted."""
    shown = "%{http_code} %{http_version} %{redirect_url}"
    here = [word for host in (APP, OWN, LOST) for word in ("--connect-to", f"{host}::127.0.0.1:")]
    argv = ["curl", "-sS", "-o", "/dev/null", "-w", shown, *here, *more, url]
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=20).stdout


def test_public_hosts_have_certificates_that_are_trusted(
    first: dict[str, Any], project: Project, acme: Pebble, trusted: Path
) -> None:
    """One of an ACME server, one of the user's; plain HTTP leads to HTTPS. A host for which none
    can be had says why, once as a warning and beside its URL, and is in nobody's way."""
    bring(project)
    project.file.write_text(PUBLIC + entries(late=EXPOSED, moved=EXPOSED, old=HIDDEN))
    said = project.iac("deploy", "--file", str(project.file))
    at, http = https_port(project), project.environment["IAC_HTTP_PORT"]
    assert f"web: https://{APP}:{at}/\n" in said.stdout
    ca = ("--cacert", str(trusted))
    assert curl(project, f"https://{APP}:{at}/", *ca) == "200 2 "
    assert curl(project, f"https://{APP}:{at}/", *ca, "--http1.1") == "200 1.1 "
    assert curl(project, f"https://{OWN}:{at}/", *ca) == "200 2 "
    assert curl(project, f"http://{APP}:{http}/a?b") == f"308 1.1 https://{APP}:{at}/a?b"
    assert curl(project, f"http://{LOST}:{http}/") == "503 1.1 "
    (line,) = [each for each in said.stdout.splitlines() if f"https://{LOST}:" in each]
    assert "/ (no certificate yet: connection: " in line
    assert len(re.findall(rf"^warning: .*{LOST}", said.stderr, re.M)) == 1, said.stderr


def test_a_renewal_fails_nobody(first: dict[str, Any], project: Project, trusted: Path) -> None:
    """Open connections are told that they end, new ones get the new certificate; nothing is left
    to do for a plan."""
    at = https_port(project)
    before, connect = serial(at, APP, trusted), partial(secure, at, APP, trusted)
    with (
        requests(connect, APP, rate=100, threads=2) as kept,
        requests(connect, APP, rate=50, threads=2, keep=False) as anew,
    ):
        project.iac("renew", APP, "--force")
        until = time.monotonic() + 5
        while serial(at, APP, trusted) == before and time.monotonic() < until:
            time.sleep(0.05)
        time.sleep(0.2)
    assert serial(at, APP, trusted) != before
    assert [*kept.failed, *anew.failed] == []
    assert kept.connections <= 2 * 2
    assert min(kept.done, anew.done) > 10
    project.iac("plan", "--file", str(project.file), "--detailed-exitcode")


def test_a_changed_certificate_is_served_after_a_deploy(
    first: dict[str, Any], project: Project, acme: Pebble, trusted: Path
) -> None:
    """The plan says it. A key of another one is refused before anything changes; and no ACME server
    is asked, not even for the host that failed a moment ago."""
    at, ids, orders = https_port(project), project.container_ids(), acme.orders
    before, key = serial(at, OWN, trusted), project.folder / "certs" / "privkey.pem"
    old = key.read_bytes()
    bring(project)
    said = project.iac("plan", "--file", str(project.file), "--detailed-exitcode", code=2).stdout
    assert f"~ ingress: no restart (new certificate for {OWN})" in said
    new = key.read_bytes()
    key.write_bytes(old)
    refused = project.iac("deploy", "--file", str(project.file), code=4).stderr
    assert "privkey.pem" in refused
    assert serial(at, OWN, trusted) == before
    key.write_bytes(new)
    assert project.deploy()["plan"]["empty"]
    assert serial(at, OWN, trusted) != before
    assert (project.container_ids(), acme.orders) == (ids, orders)
    assert orders > 2


def test_an_ingress_that_does_not_answer_is_not_good(
    first: dict[str, Any], project: Project, trusted: Path
) -> None:
    """Whatever services say among themselves: people get nothing."""
    ingress = project.engine.containers.get(f"{project.name}-ingress")
    ingress.pause()
    try:
        done = project.iac("health", code=7)
    finally:
        ingress.unpause()
    assert f"https://{APP}:{https_port(project)}/ (does not answer: " in done.stdout
    assert "web: people do not reach it: " in done.stderr


def test_without_an_exposed_service_the_ingress_goes(
    first: dict[str, Any], project: Project
) -> None:
    """With its files and its port in the lock."""
    project.file.write_text(entries(web=HIDDEN))
    project.deploy("--prune")
    assert f"{project.name}-ingress" not in project.container_ids()
    assert not (project.directory / "ingress").exists()
    assert "ingress_port" not in (project.folder / "repos.lock.json").read_text()
