"""KarstKit as a person installs it: a wheel in an environment of its own, no checkout in sight.

The project folder has a space in its name, and folders that are called like our packages. The tests
share it and run in order.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
import socket as socketlib
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import requests
from docker.transport import UnixHTTPAdapter

from tests.e2e.conftest import NO_SPARE, ROOT
from tests.support.machine import record
from tests.support.own_venv import build, uv

pytestmark = [pytest.mark.integration, pytest.mark.slow]

SHADOW = "raise SystemExit('a folder of the person was taken for a package')\n"
WEB = """\
from http.server import BaseHTTPRequestHandler, HTTPServer

class Hello(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"hello")

HTTPServer(("", 8000), Hello).serve_forever()
"""


@dataclass
class Installed:
    """An installed `iac`, its project folder and the environment of its user."""

    program: Path
    folder: Path
    environment: dict[str, str]
    project: str

    @property
    def home(self) -> Path:
        """The folder of the machine's facts."""
        (found,) = Path(self.environment["XDG_DATA_HOME"], "karstkit").iterdir()
        return found

    def run(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run a verb in the project folder, from elsewhere."""
        done = subprocess.run(
            [self.program, "-C", self.folder, *arguments],
            cwd="/",
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=400,
        )
        assert done.returncode == code, f"{arguments}: {done.returncode}\n{done}"
        assert "Traceback" not in done.stdout + done.stderr
        return done


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    base = tmp_path_factory.mktemp("machine")
    python = base / "env" / "bin" / "python"
    uv("venv", "--no-config", "--python", sys.executable, base / "env")
    install = ("pip", "install", "--no-config", "--no-deps", "--python", python)
    uv(*install, "--require-hashes", "-r", ROOT / "requirements.txt")
    uv(*install, wheel)
    left_out = re.compile("IAC_|PYTHON|VIRTUAL_ENV|XDG_")
    environment = {k: v for k, v in os.environ.items() if not left_out.match(k)}
    environment |= {
        **NO_SPARE,
        "XDG_DATA_HOME": str(base / "share"),
        "PATH": f"{python.parent}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    }
    folder = base / "my shop"
    folder.mkdir()
    name = f"t{secrets.token_hex(4)}"
    made = Installed(python.with_name("iac"), folder, environment, name)
    made.run("init")
    example = (folder / ".env.example").read_text()
    (folder / ".env").write_text(example.replace("=my-shop\n", f"={name}\n"))
    try:
        yield made
    finally:
        if (Path(environment["XDG_DATA_HOME"]) / "karstkit").is_dir():
            made.run("destroy", "--yes", "--if-exists")


def test_a_wheel_from_the_sdist_is_the_same(source: Path, wheel: Path, tmp_path: Path) -> None:
    """An sdist that lacks a file would fail those who build from it."""
    build(source, tmp_path)
    (again,) = tmp_path.glob("*.whl")
    assert list(tmp_path.glob("*.tar.gz"))
    with zipfile.ZipFile(wheel) as first, zipfile.ZipFile(again) as second:
        assert sorted(first.namelist()) == sorted(second.namelist())


def test_before_the_set_up_a_deploy_names_it(installed: Installed) -> None:
    """What a first user types; folders have the names of our packages, one of them is deployed."""
    for name in ("stacks", "runner", "provider", "constructs_lib"):
        (installed.folder / name).mkdir()
        (installed.folder / name / "__init__.py").write_text(SHADOW)
    (installed.folder / "admin").mkdir()
    (installed.folder / "admin" / "__init__.py").write_text("")
    (installed.folder / "admin" / "main.py").write_text(WEB)
    (installed.folder / "repos.yaml").write_text("- ./admin\n")
    said = installed.run("deploy", code=2).stderr
    assert "this machine is not set up yet" in said
    assert "next:     iac setup" in said


def test_the_set_up_makes_the_images_of_the_checkout(installed: Installed) -> None:
    """Tags follow from contents; tools and record are in the user's folder, keys in the project."""
    table = installed.run("setup").stdout
    found = json.loads((installed.home / "host.json").read_text())
    assert found["sidecar_image"] == record().sidecar_image
    base = record().bases["3.11"]
    assert found["bases"]["3.11"]["runtime_image"] == base.runtime_image
    assert (installed.folder / "secrets" / "ca.key").exists()
    assert not (installed.folder / ".iac" / "host.json").exists()
    (units,) = re.findall(r"^systemd units +(\S+)", table, re.M)
    assert "admin serve" in (Path(units) / "iac-admin.service").read_text()


def test_deploy_plan_and_health_work_from_another_folder(installed: Installed) -> None:
    """`--file` is relative to the project folder; nothing of the checkout is used."""
    installed.run("deploy", "--file", "repos.yaml")
    assert "SERVING" in installed.run("health").stdout
    installed.run("plan", "--file", "repos.yaml", "--detailed-exitcode")
    state = installed.folder / ".iac" / "projects" / installed.project / "terraform.tfstate"
    assert str(ROOT) not in state.read_text()
    link = installed.folder / ".iac" / "bin" / "terraform"
    assert link.resolve() == installed.home / "bin" / "terraform"


def test_a_second_folder_needs_no_second_set_up(installed: Installed, tmp_path: Path) -> None:
    """It has its own state, keys and project; the current folder may be the one to work in."""
    other = replace(installed, folder=tmp_path)
    other.run("init")
    service = installed.folder / "admin"
    (tmp_path / "repos.yaml").write_text(f"- slug: '{service}'\n  name: web\n")
    project = f"{installed.project}-2"
    argv = [str(installed.program), "lock", "--project", project]
    subprocess.run(argv, cwd=tmp_path, env=installed.environment, check=True, timeout=100)
    assert (tmp_path / "secrets" / project / "web" / "tls.key").exists()
    assert "+ web: " in other.run("plan", "--project", project).stdout
    other.run("destroy", "--yes", "--project", project)


def test_the_cdktf_cli_gets_its_stack_by_iac_synth(installed: Installed, tmp_path: Path) -> None:
    """As its line in cdktf.json says, with the CLI's own folder in the environment."""
    app = json.loads((installed.folder / "cdktf.json").read_text())["app"]
    subprocess.run(
        ["sh", "-c", app],
        cwd=installed.folder,
        check=True,
        timeout=100,
        env={**installed.environment, "CDKTF_OUTDIR": str(tmp_path)},
    )
    assert (tmp_path / "stacks" / installed.project / "cdk.tf.json").exists()


def test_lost_keys_are_made_again_and_used(installed: Installed) -> None:
    """Another authority signs them; Envoys, whose mounts show the lost ones, are started again."""
    shutil.rmtree(installed.folder / "secrets")
    said = installed.run("deploy").stderr
    assert "restarting its Envoy for the new certificate" in said
    assert "SERVING" in installed.run("health").stdout


def test_an_upgrade_with_other_images_asks_for_the_set_up(installed: Installed) -> None:
    """The version may be the same: what counts is what images are made from."""
    path = installed.home / "host.json"
    found = json.loads(path.read_text())
    path.write_text(json.dumps({**found, "inputs": "0123456789abcdef"}))
    said = installed.run("deploy", code=2).stderr
    assert "was set up by another version of KarstKit" in said
    assert "next:     iac setup" in said
    installed.run("setup")
    installed.run("plan", "--detailed-exitcode")


def _accepts(path: Path) -> bool:
    """Whether a server listens there: the file is there a moment earlier."""
    with socketlib.socket(socketlib.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0


def test_the_admin_api_deploys_by_its_own_workers(installed: Installed, tmp_path: Path) -> None:
    """Server and worker are started from the wheel, beside a folder that is called admin."""
    socket = tmp_path / "s"
    environment = {"IAC_ADMIN_SOCKET": str(socket), "IAC_ADMIN_BIND": "127.0.0.1:0"}
    server = subprocess.Popen(
        [installed.program, "admin", "serve"],
        cwd=installed.folder,
        stderr=subprocess.DEVNULL,
        env={**installed.environment, **environment, "IAC_ADMIN_GRPC": "off"},
    )
    client = requests.Session()
    client.mount("http+unix://", UnixHTTPAdapter(f"http+unix://{socket}"))
    try:
        deadline = time.monotonic() + 30
        while not _accepts(socket) and time.monotonic() < deadline:
            time.sleep(0.05)
        body = {"slugs": [str(installed.folder / "admin")]}
        job = client.post("http+unix://x/deploy", json=body, timeout=20)
        while job.status_code == 503 and time.monotonic() < deadline:  # it is starting
            time.sleep(0.2)
            job = client.post("http+unix://x/deploy", json=body, timeout=20)
        assert job.status_code == 202, job.text
        links = job.json()["links"]
        client.get(f"http+unix://x{links['events']}", timeout=120)  # ends with the deployment
        shown = client.get(f"http+unix://x{links['self']}", timeout=20).json()
        assert shown["status"] == "succeeded", shown
    finally:
        server.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            server.wait(20)


def test_destroy_leaves_nothing(installed: Installed) -> None:
    installed.run("destroy", "--yes")
    assert "There is no project" in installed.run("destroy", "--yes", "--if-exists").stdout
