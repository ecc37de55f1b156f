"""The engine is killed and started with ten services running.

It takes down all containers of the machine for a moment, so it runs only where the variable
IAC_RELIABILITY_ENGINE says so, as root, and where nothing but bootstrap starts the engine.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from iac_wrapper.bootstrap.engine import PID_FILES
from tests.e2e.conftest import NO_SPARE, ROOT, make_project
from tests.reliability.conftest import Record, until
from tests.support.rollouts import server

pytestmark = [
    pytest.mark.reliability,
    pytest.mark.row(8),
    pytest.mark.skipif(
        not os.environ.get("IAC_RELIABILITY_ENGINE") or os.geteuid() != 0,
        reason="kills the engine of the machine: only with IAC_RELIABILITY_ENGINE=1, as root",
    ),
]

SERVICES = 10
SECONDS = 60.0


def _kill_engine() -> None:
    pid = int(PID_FILES["dockerd"].read_text())
    assert Path(f"/proc/{pid}/comm").read_text().strip() == "dockerd"
    os.kill(pid, signal.SIGKILL)
    until(lambda: not Path(f"/proc/{pid}").exists(), 20)


@pytest.mark.parametrize("keeper", ["auto", "off"])
def test_all_services_are_back(
    tmp_path_factory: pytest.TempPathFactory, record: Record, keeper: str
) -> None:
    """Bootstrap starts the engine, as after a reboot. Without a keeper one command mends."""
    environment = {"IAC_KEEPER": keeper, "IAC_HEALTH_TIMEOUT": "120"}
    with make_project(tmp_path_factory, environment) as project:
        (project.folder / "app").mkdir()
        (project.folder / "app" / "main.py").write_text(server("one"))
        project.file.write_text(
            "".join(f"- {{slug: ./app, name: s{n}, port: 8080}}\n" for n in range(SERVICES))
        )
        project.deploy()
        environ = {**os.environ, **NO_SPARE, **project.environment}
        time.sleep(5)  # the keeper, which has just been started, knows by then what runs
        _kill_engine()
        subprocess.run(
            [sys.executable, "-m", "iac_wrapper.bootstrap"], cwd=ROOT, env=environ, check=True
        )
        began = time.monotonic()
        if keeper == "off":
            project.iac("heal")

        def healthy() -> int:
            argv = project.argv("health")
            return subprocess.run(
                argv, cwd=ROOT, env=environ, capture_output=True, check=False
            ).returncode

        until(lambda: healthy() == 0, 3 * SECONDS)
        took = time.monotonic() - began
        good = [row["status"] for row in project.health().values()].count("SERVING")
        record(
            f"engine killed and started, {'with' if keeper == 'auto' else 'without'} the keeper"
            f"{'' if keeper == 'auto' else ', then `iac heal`'}",
            f"{SERVICES} services",
            f"{good} of {SERVICES} after {took:.0f} s",
        )
        assert good == SERVICES
