"""Every verdict is what a request from another service gets: one table of small web projects.

One deploy for the module; the tests look at what it left.
"""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any

import pytest

from tests.e2e.conftest import Project
from tests.support import web_projects
from tests.support.stream import result_of

pytestmark = pytest.mark.integration

TABLE = {
    "flask-default": "200 in N ms on 5000",
    "flask-guarded": "200 in N ms on 50051",
    "django-alone": "200 in N ms on 50051",
    "fastapi": "200 in N ms on 50051",
    "procfile": "200 in N ms on 50051",
    "ipv6": "200 in N ms on 7000",
    "daemon": "200 in N ms on 7100",
    "late": "200 in N ms on 7200",
    "launches": "200 in N ms on 7500",
    "manager": "200 in N ms on 7600",
    "two-ports": "200 in N ms on 9100",
    "loops": "exited with code 1",
    "picky": "400 in N ms on 7400",
    "ends": "ended with exit code 0; nothing listens on port 8080",
    "tool": "a command-line program: it printed its usage and ended",
    "elsewhere": "listens on 0.0.0.0:9000, requests go to 8080",
    "forgotten": "the module requests is missing",
    "hungry": "out of memory: its limit is 128 MiB; the kernel killed N of its processes",
    "lost-child": "200 in N ms on 50051",
    "windows": "bin/start.sh has Windows line ends (CR LF), which no shell reads",
}
"""The evidence of those that serve, the cause of those that do not."""

FETCH = """
import json, sys, urllib.error, urllib.request
from concurrent.futures import ThreadPoolExecutor
def status(name):
    try:
        return urllib.request.urlopen(f"http://{name}:1/", timeout=20).status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0
names = sys.argv[1:]
with ThreadPoolExecutor() as pool:
    print(json.dumps(dict(zip(names, pool.map(status, names)))))
"""


@pytest.fixture(scope="module")
def deployed(project: Project) -> subprocess.CompletedProcess[str]:
    """One deploy of them all."""
    project.file.write_text(web_projects.write(project.folder).read_text())
    return project.iac("deploy", "--file", str(project.file), "--json", code=7)


@pytest.fixture(scope="module")
def services(deployed: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    """The verdicts by name."""
    return {service["name"]: service for service in result_of(deployed.stdout)["services"]}


@pytest.fixture(scope="module")
def answers(project: Project, services: dict[str, dict[str, Any]]) -> dict[str, int]:
    """The HTTP status that the service `caller` gets from each of the others; 0: none."""
    assert services["caller"]["status"] == "SERVING"
    argv = ["/venv/bin/python", "-c", FETCH, *TABLE]
    found = project.container("caller", "app").exec_run(argv)
    assert found.exit_code == 0, found.output
    status: dict[str, int] = json.loads(found.output.decode().splitlines()[-1])
    return status


@pytest.mark.parametrize("name", TABLE)
def test_the_verdict_is_what_a_caller_gets(
    services: dict[str, dict[str, Any]], answers: dict[str, int], name: str
) -> None:
    """SERVING means that a request is answered, and nothing else does."""
    service = services[name]
    assert (service["status"] == "SERVING") == (0 < answers[name] < 500), (
        service,
        answers[name],
    )
    said = service["evidence"] if service["status"] == "SERVING" else service["message"]
    assert re.sub(r"(in|killed) \d+", r"\1 N", said) == TABLE[name]


def test_who_refuses_every_caller_is_named(deployed: subprocess.CompletedProcess[str]) -> None:
    """A 400 is an answer, but hardly the one that was meant."""
    hint = "Django: add 'picky' to ALLOWED_HOSTS in its settings"
    assert f"warning: picky: answers 400 to GET /; {hint}" in deployed.stderr


def test_who_was_taken_for_a_worker_is_named(
    deployed: subprocess.CompletedProcess[str], services: dict[str, dict[str, Any]]
) -> None:
    """Nobody said what it is for, and nothing told: with the words to write, in both places."""
    alive = services["caller"]["evidence"]
    assert alive.endswith("listens nowhere")
    taken = f"taken for a worker ({alive}): write `run: web` in its entry"
    assert f"warning: caller: {taken}" in deployed.stderr
    assert services["caller"]["warnings"][0].startswith(taken)
    assert [name for name in TABLE if f"warning: {name}: taken for" in deployed.stderr] == []


def test_a_port_that_gets_no_request_is_named(project: Project, deployed: object) -> None:
    """Metrics first, the real one later: what to write. A manager's port is no such port."""
    del deployed
    said = project.iac("health", code=7).stderr
    ports = "requests go to port 9100, and it listens on 7700 as well: write `port: 7700`"
    assert f"warning: two-ports: {ports}" in said
    assert said.count("requests go to port") == 1


def test_a_failed_verdict_says_what_to_write(services: dict[str, dict[str, Any]]) -> None:
    """A code for machines and a step for people."""
    shown = {n: (services[n]["cause"], services[n]["next_step"]) for n in ("ends", "elsewhere")}
    assert shown == {
        "ends": ("ended", "write `run: job` in its entry if it is to end"),
        "elsewhere": (
            "wrong-port",
            "write `port: 9000` in its entry of repos.yaml, or delete `port: 8080`",
        ),
    }


def test_what_each_request_fails_for_is_not_waited_for(services: dict[str, dict[str, Any]]) -> None:
    """The cause stays, whether it stands in the log or in the kernel's count."""
    for name in ("forgotten", "hungry"):
        assert services[name]["seconds"] < 30, services[name]
    assert services["forgotten"]["evidence"] == "ModuleNotFoundError: No module named 'requests'"
    assert services["hungry"]["next_step"].startswith("write `memory: 256m` in its entry")


def test_a_process_that_the_kernel_killed_is_told_though_the_program_serves(
    deployed: subprocess.CompletedProcess[str],
    services: dict[str, dict[str, Any]],
    project: Project,
) -> None:
    """By deploy and by health."""
    assert services["lost-child"]["oom_kills"] == 1
    warning = "warning: lost-child: the kernel killed one of its processes for lack of memory"
    assert f"{warning} (limit 128 MiB); write `memory: 256m`" in deployed.stderr
    assert warning in project.iac("health", code=7).stderr


def test_the_command_that_mends_a_script_is_told(services: dict[str, dict[str, Any]]) -> None:
    """With the path in the repository, and the line that shows it."""
    windows = services["windows"]
    assert "`sed -i 's/\\r$//' bin/start.sh`" in windows["next_step"]
    assert windows["evidence"] == "bin/start.sh: 1: set: Illegal option -"


def test_servers_that_are_supplied_are_said(deployed: subprocess.CompletedProcess[str]) -> None:
    """Where the requirements name one, there is nothing to say."""
    supplied = re.findall(r"warning: (\S+): (\w+) is supplied to serve", deployed.stderr)
    assert sorted(supplied) == [("django-alone", "gunicorn"), ("fastapi", "uvicorn")]


def test_other_protocols_are_proven_by_their_port(services: dict[str, dict[str, Any]]) -> None:
    """Without `tcp:` only HTTP and gRPC are carried: no caller could tell more."""
    for name in ("speaks-first", "speaks-later"):
        service = services[name]
        assert service["evidence"] == "accepts on 7300 (TCP)", service
        assert service["status"] == "SERVING"


def test_tcp_ports_are_proven_as_callers_use_them(
    project: Project, services: dict[str, dict[str, Any]]
) -> None:
    """Each declared port has to take a connection over mTLS; another service's program has one."""
    assert services["database"]["evidence"] == "accepts on 7300 (TCP)"
    half = services["half-a-database"]
    assert (half["status"], half["cause"]) == ("NOT_SERVING", "no-answer")
    assert "TCP port 7301 takes no connection over mTLS: closed at once" in half["message"]
    code = "import socket; print(socket.create_connection(('database', 7300), 5).recv(20))"
    found = project.container("caller", "app").exec_run(["/venv/bin/python", "-c", code])
    assert found.output.decode().strip() == repr(b"220 ready\r\n")
