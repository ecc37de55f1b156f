"""The keeper on the real engine: what dies or hangs comes back, what a person stopped does not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from iac_wrapper import settings
from iac_wrapper.adapters import planned_containers, state
from iac_wrapper.files.layout import Layout
from iac_wrapper.operations import candidates
from iac_wrapper.operations.workspace import Workspace
from tests.e2e.conftest import NO_SPARE, ROOT, Project, make_project
from tests.support.receiver import Receiver, receiving
from tests.support.rollouts import IDLE, server

pytestmark = pytest.mark.integration

PROGRAMS = {**{name: server(name) for name in ("web", "one", "two")}, "idle": IDLE}

ENTRIES = """\
- {slug: ./web, port: 8080, expose: true}
- {slug: ./one, port: 8080}
- {slug: ./two, port: 8080}
- {slug: ./idle, run: worker}
"""

BACK_SECONDS = 45.0
"""Three times what is promised: the machine has other work."""


@pytest.fixture(name="receiver", scope="module")
def fixture_receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        receiver.status = 503
        yield receiver


@pytest.fixture(name="kept", scope="module")
def fixture_kept(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[Project]:
    """Services and an ingress, kept by the process that their deploy started. That could not tell
    the receiver of notifications."""
    environment = {"IAC_KEEPER": "auto", "IAC_PROBATION": "2", **receiver.environment}
    with make_project(tmp_path_factory, environment) as project:
        for name, code in PROGRAMS.items():
            (project.folder / name).mkdir()
            (project.folder / name / "main.py").write_text(code)
        project.file.write_text(ENTRIES)
        said = project.iac("deploy", "--file", str(project.file)).stderr
        assert said.count("a process in the background starts again what dies or hangs") == 1
        assert "was not told of 1: it answered 503" in said
        receiver.status = 204
        yield project


def _pid(project: Project, name: str) -> int:
    """PID 1 of a container, as the host numbers it."""
    pid: int = project.engine.containers.get(f"{project.name}-{name}").attrs["State"]["Pid"]
    return pid


def _child(pid: int) -> int:
    """The first process that `pid` started."""
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def _keeper(project: Project) -> int:
    note = json.loads((project.directory / "keeper.lock").read_text(encoding="utf-8"))
    pid: int = note["pid"]
    return pid


def _health(project: Project) -> tuple[int, set[str], str]:
    """Exit code, which services serve, and what is said beside."""
    environment = {**os.environ, **NO_SPARE, **project.environment}
    argv = project.argv("health", "--json")
    done = subprocess.run(
        argv, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    rows = json.loads(done.stdout)["services"]
    return done.returncode, {row["name"] for row in rows if row["status"] == "SERVING"}, done.stderr


def _is_good(project: Project) -> bool:
    return _health(project)[0] == 0


def _until(wanted: Callable[[], bool], seconds: float = BACK_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not wanted():
        assert time.monotonic() < deadline
        time.sleep(0.3)


def _log(project: Project) -> str:
    path = project.directory / "log" / "keeper.log"
    return path.read_text(encoding="utf-8") if path.exists() else ""


def test_a_deploy_starts_it_once(kept: Project) -> None:
    """It is one process, with what it needs of the environment and no more."""
    _until((kept.directory / "keeper.lock").exists)
    pid = _keeper(kept)
    said = kept.iac("keep", code=6).stderr
    assert f"process {pid}" in said
    environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    assert not any(line.startswith(b"PYTEST") for line in environment)


def test_what_dies_comes_back(kept: Project) -> None:
    """Both halves of a pair at once is what the engine alone does not mend."""
    before = {name: _pid(kept, name) for name in ("web-envoy", "web-app", "one-envoy", "two-app")}
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
    _until(lambda: all(_pid(kept, name) not in (0, pid) for name, pid in before.items()))
    _until(lambda: _is_good(kept))


_HANG = ("one-app", "two-envoy", "web-live", "gateway", "ingress")


def _give_traffic_to_a_candidate(project: Project, service: str) -> Workspace:
    """As a rollout does that is killed then; the workspace that knows of it."""
    chosen = settings.load_settings(ROOT, {**os.environ, **project.environment})
    workspace = Workspace(Layout(ROOT), chosen, project.name, lambda _: None)
    lock, bodies = workspace.deployed_lock(), state.bodies(
        project.directory / "terraform.tfstate", "docker_container"
    )
    found = [c for c in planned_containers.recorded(bodies) if c.service == service]
    apps = [app for app in lock.apps if app.name == service]
    with workspace.hold("a test"):
        candidates.start(workspace, [(apps[0], {c.role: c for c in found}, {})])
        (row,) = candidates.prove_candidates(workspace, lock, apps)
        assert row.good
        candidates.go_live(workspace, [service])
    return workspace


def test_what_hangs_is_restarted_and_what_a_person_stopped_is_not(kept: Project) -> None:
    """A PID 1 that hangs can neither answer nor obey. An Envoy is ended by its own PID 1: its
    container stays, and with it the program's network. What stopped on purpose is named by health
    and started by heal. Of a service whose traffic a candidate has, it is the candidate that is
    restarted, and nothing is done to the recorded pair."""
    workspace = _give_traffic_to_a_candidate(kept, "web")
    kept.container("idle", "app").stop()
    stays = [_pid(kept, "web-envoy"), _pid(kept, "web-app")]
    envoy = _child(stays[0])
    before = {name: _pid(kept, name) for name in _HANG}
    for pid in (envoy, *before.values()):
        os.kill(pid, signal.SIGSTOP)
    _until(lambda: _child(stays[0]) != envoy)
    _until(lambda: all(_pid(kept, name) not in (0, pid) for name, pid in before.items()))
    log = _log(kept)
    said = [name for name in before if f"{kept.name}-{name} does not answer any more" in log]
    assert said == [*before]
    assert log.count("does not answer any more") == len(before)

    _until(lambda: _health(kept)[1] == {"web", "one", "two"})
    assert [_pid(kept, "web-envoy"), _pid(kept, "web-app")] == stays
    candidates.discard(workspace, live=True)

    code, _, told = _health(kept)
    assert code == 7
    stopped = f"idle: its app container is stopped; next: iac heal --project {kept.name}"
    assert stopped in told
    assert stopped in kept.iac("status", code=7).stdout
    assert kept.container("idle", "app").status == "exited"
    assert f"{kept.name}-idle-app: started" in kept.iac("heal").stdout
    assert kept.container("idle", "app").status == "running"


def test_what_it_did_is_told(kept: Project, receiver: Receiver) -> None:
    """To the receiver of notifications, and what the deploy could not tell."""

    def told() -> set[tuple[str, str]]:
        data = [message["data"] for message in receiver.messages]
        return {(each["operation"], each["by"]["source"]) for each in data}

    _until(lambda: {("deploy", "cli"), ("heal", "keeper")} <= told())
    sent = zip(receiver.got, receiver.messages, strict=True)
    ids = [headers["webhook-id"] for (headers, _), m in sent if m["data"]["operation"] == "deploy"]
    assert (len(ids), len({*ids})) == (2, 1)


def test_another_deploy_has_one_of_its_own(kept: Project) -> None:
    """Of the newest code; one that was killed leaves nothing stale."""
    os.kill(_keeper(kept), signal.SIGKILL)
    first = _keeper(kept)
    kept.deploy()
    _until(lambda: _keeper(kept) != first)
    second = _keeper(kept)
    kept.iac("destroy", "--yes")
    _until(lambda: not Path(f"/proc/{second}").exists())
