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

from tests.e2e.conftest import NO_SPARE, ROOT, Project, make_project

pytestmark = pytest.mark.integration

BACK_SECONDS = 45.0
"""Three times what is promised: the machine has other work."""


@pytest.fixture(name="kept", scope="module")
def fixture_kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A service of ours and an image, kept by the process that their deploy started."""
    with make_project(tmp_path_factory, {"IAC_KEEPER": "auto"}) as project:
        project.file.write_text(f"- {{slug: '{ROOT}/examples/flask-app', name: web}}\n")
        said = project.iac("deploy", "--file", str(project.file)).stderr
        assert said.count("a process in the background starts again what dies or hangs") == 1
        yield project


def _pid(project: Project, role: str) -> int:
    """PID 1 of a container, as the host numbers it."""
    pid: int = project.container("web", role).attrs["State"]["Pid"]
    return pid


def _child(pid: int) -> int:
    """The first process that `pid` started."""
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def _keeper(project: Project) -> int:
    note = json.loads((project.directory / "keeper.lock").read_text(encoding="utf-8"))
    pid: int = note["pid"]
    return pid


def _health(project: Project) -> tuple[int, str]:
    """Exit code, and what it says."""
    environment = {**os.environ, **NO_SPARE, **project.environment}
    argv = project.argv("health")
    done = subprocess.run(
        argv, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


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


@pytest.mark.parametrize("roles", [("envoy", "app"), ("envoy",), ("app",)])
def test_a_pair_that_dies_comes_back(kept: Project, roles: tuple[str, ...]) -> None:
    """Both at once is what the engine alone does not mend."""
    before = [_pid(kept, role) for role in roles]
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    _until(lambda: all(_pid(kept, role) not in (0, *before) for role in roles))
    _until(lambda: _is_good(kept))


def test_an_envoy_that_hangs_is_ended_by_its_own_pid_1(kept: Project) -> None:
    """The container stays, and with it the program's network."""
    pid, app = _pid(kept, "envoy"), _pid(kept, "app")
    envoy = _child(pid)
    os.kill(envoy, signal.SIGSTOP)
    _until(lambda: _child(pid) != envoy)
    _until(lambda: _is_good(kept))
    assert (_pid(kept, "envoy"), _pid(kept, "app")) == (pid, app)


@pytest.mark.parametrize("role", ["app", "envoy"])
def test_a_pid_1_that_hangs_is_restarted(kept: Project, role: str) -> None:
    """It can neither answer nor obey."""
    pid = _pid(kept, role)
    os.kill(pid, signal.SIGSTOP)
    _until(lambda: _pid(kept, role) not in (0, pid))
    _until(lambda: _is_good(kept))
    assert f"-web-{role} does not answer any more" in _log(kept)


def test_what_a_person_stopped_stays_stopped(kept: Project) -> None:
    """Not for the keeper to judge; health says it, heal starts it."""
    kept.container("web", "app").stop()
    time.sleep(4.0)
    assert kept.container("web", "app").status == "exited"
    code, said = _health(kept)
    assert code == 7
    assert f"{kept.name}-web-app was stopped by hand; `iac heal` starts it" in said
    assert kept.container("web", "app").status == "exited"
    assert f"{kept.name}-web-app: started" in kept.iac("heal").stdout
    _until(lambda: _is_good(kept))


def test_another_deploy_has_one_of_its_own(kept: Project) -> None:
    """Of the newest code; one that was killed leaves nothing stale."""
    os.kill(_keeper(kept), signal.SIGKILL)
    first = _keeper(kept)
    kept.deploy()
    _until(lambda: _keeper(kept) != first)
    second = _keeper(kept)
    kept.iac("destroy", "--yes")
    _until(lambda: not Path(f"/proc/{second}").exists())
