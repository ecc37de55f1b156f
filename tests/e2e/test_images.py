"""Images that are not ours, beside a repository with a Dockerfile of its own: one project."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.e2e.conftest import Project, make_project
from tests.support import foreign_images
from tests.support.machine import base_image

pytestmark = pytest.mark.integration

SECRET = "a secret with\n two lines \n"

FILE = """
- image: {steps_down}
  name: keeper
  env: {{PASSWORD: "${{SENTINEL}}", TOKEN_FILE: "${{SENTINEL}}"}}
- image: {musl}
  port: 8090
  env: {{GREETING: "${{SENTINEL}}"}}
- slug: ./own
  build: dockerfile
"""

DOCKERFILE = """
FROM {base}
COPY . /srv
RUN ! test -e /srv/left-out.txt
USER 1234
CMD ["python3", "-m", "http.server", "--directory", "/srv", "8099"]
"""

GET = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1]).read().decode(), end='')"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project with two images and a folder; what an image must stay alive for is short here."""
    environment = {"SENTINEL": SECRET, "IAC_PROBATION": "3"}
    with make_project(tmp_path_factory, environment) as made:
        own = made.folder / "own"
        own.mkdir()
        (own / "Dockerfile").write_text(DOCKERFILE.format(base=base_image()))
        (own / ".dockerignore").write_text("left-out.txt\n")
        (own / "left-out.txt").write_text("")
        names = {name: foreign_images.built(name) for name in ("steps_down", "musl")}
        made.file.write_text(FILE.format(**names))
        yield made


@pytest.fixture(scope="module")
def verdict(project: Project) -> dict[str, dict[str, Any]]:
    """The rows of the first deploy."""
    return {row["name"]: row for row in project.deploy()["services"]}


def _get(project: Project, name: str) -> str:
    """What a service gets from another, over the mesh."""
    argv = ["python3", "-c", GET, f"http://{name}/"]
    found = project.container("own", "app").exec_run(argv)
    assert found.exit_code == 0, found.output
    text: str = found.output.decode()
    return text


def test_each_is_proven_and_what_it_may_is_said(verdict: dict[str, dict[str, Any]]) -> None:
    """By a request, as any other service; root's capabilities and lost data are warnings."""
    ports = {name: row["evidence"].rpartition(" ")[2] for name, row in verdict.items()}
    assert ports == {"keeper": "7000", "musl": "8090", "own": "8099"}
    assert {row["status"] for row in verdict.values()} == {"SERVING"}
    root, data = verdict["keeper"]["warnings"]
    assert root.startswith("the image starts as root, with CHOWN, DAC_OVERRIDE, FOWNER")
    assert data.startswith("what it writes to /data is lost")
    assert verdict["musl"]["warnings"] == verdict["own"]["warnings"] == []


def test_they_run_as_they_were_made(project: Project, verdict: dict[str, dict[str, Any]]) -> None:
    """Root owned the data and stepped down; secrets arrive, by a shell and as a file."""
    assert verdict
    assert json.loads(_get(project, "keeper")) == {
        "uid": 999,
        "gid": 999,
        "folder": "/data",
        "capabilities": ["0" * 16],
        "data": "written",
        "root": "Read-only file system",
        "password": SECRET,
        "token": SECRET,
    }
    assert _get(project, "musl") == SECRET
    record = project.directory / "terraform.tfstate"
    assert "a secret with" not in record.read_text()
    for name in ("keeper", "musl", "own"):
        attributes = project.container(name, "app").attrs
        assert "a secret with" not in json.dumps(attributes)
        assert attributes["HostConfig"]["PidsLimit"] == 1024
    assert "GET / HTTP" in project.iac("logs", "keeper").stdout


def test_a_one_off_starts_its_command_and_nothing_of_the_program(
    project: Project, verdict: dict[str, dict[str, Any]]
) -> None:
    """A second one of it could write to the data of the first. Secret values are there."""
    assert verdict
    script = 'printf "%s|%s" "$PASSWORD" "$0"; tr "\\0" " " </proc/1/cmdline; exit 9'
    argv = [*project.argv("run", "keeper"), "--", "sh", "-c", script, "mine"]
    ended = project.run(argv, code=9)
    assert ended.stdout.startswith(f"{SECRET}|mine")
    assert "sh -c" in ended.stdout


def test_the_second_plan_is_empty(project: Project, verdict: dict[str, dict[str, Any]]) -> None:
    assert verdict
    project.iac("plan", "--file", str(project.file), "--detailed-exitcode")


_SLOW = """
import json, threading, time, urllib.request
begin, good, lost = time.monotonic(), [], []
def run():
    while not good or time.monotonic() - begin < 25:
        asked = time.monotonic()
        try:
            good.append(urllib.request.urlopen('http://keeper/slow', timeout=30).status)
        except OSError as error:  # one that has waited for the new version was not in flight
            if time.monotonic() - asked < 4:
                lost.append(str(error))
            time.sleep(0.1)
threads = [threading.Thread(target=run) for _ in range(8)]
for each in threads: each.start()
for each in threads: each.join()
print(json.dumps([len(good), lost]))
"""


def test_calls_in_flight_end_before_it_is_replaced(
    project: Project, verdict: dict[str, dict[str, Any]]
) -> None:
    """In place, too: eight calls of two seconds, one after the other. That callers wait is said."""
    assert verdict
    text = project.file.read_text().replace("name: keeper\n", "name: keeper\n  rollout: replace\n")
    project.file.write_text(text.replace("{PASSWORD:", "{ANOTHER: '1', PASSWORD:"))
    said = project.iac("plan", "--file", str(project.file)).stderr
    assert "keeper: its old version stops first (`rollout: replace`); callers wait" in said
    with ThreadPoolExecutor(1) as pool:
        exec_run = project.container("own", "app").exec_run
        calls = pool.submit(exec_run, ["python3", "-c", _SLOW])
        time.sleep(1)
        before = project.container("keeper", "app").id
        project.deploy()
        good, lost = json.loads(calls.result().output)
    assert project.container("keeper", "app").id != before
    assert (lost, good > 16) == ([], True)


def test_a_new_version_that_ends_is_not_taken(
    project: Project, verdict: dict[str, dict[str, Any]]
) -> None:
    """It is tried beside the old one, which goes on; its exit code is told."""
    assert verdict
    wrong = "  name: keeper\n  command: sh -c 'exit 9'\n"
    project.file.write_text(
        project.file.read_text().replace("  name: keeper\n  rollout: replace\n", wrong)
    )
    rows = {row["name"]: row for row in project.deploy(code=7)["services"]}
    assert (rows["keeper"]["message"], rows["keeper"]["exit_code"]) == ("exited with code 9", 9)
    assert rows["keeper"]["previous"]["put_back"] is False
    assert json.loads(_get(project, "keeper"))["password"] == SECRET


def test_it_follows_its_sidecar_into_a_new_namespace(
    project: Project, verdict: dict[str, dict[str, Any]]
) -> None:
    """Nothing in the image would notice that the old one is dead."""
    assert verdict
    project.container("musl", "envoy").restart(timeout=1)
    project.iac("heal")
    project.iac("health", "--wait", "30")
    assert project.health()["musl"]["status"] == "SERVING"
