"""What one service may use up is its own: uids, limits, keys; and the way to the host.

The tests of this module share one project of two services.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from iac_wrapper import settings
from iac_wrapper.adapters import uid_record
from iac_wrapper.adapters.engine import Engine
from iac_wrapper.files.layout import Layout
from iac_wrapper.model.lock import LockFile
from iac_wrapper.operations import users
from iac_wrapper.operations.workspace import Workspace
from tests.e2e.conftest import ROOT, Project
from tests.support import deployed, machine

pytestmark = pytest.mark.integration
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="changes users or the host's firewall")

PROGRAM = (
    "import http.server, os\n"
    "class Handler(http.server.BaseHTTPRequestHandler):\n"
    "    def do_GET(self):\n"
    "        self.send_response(200); self.end_headers()\n"
    "if __name__ == '__main__':\n"
    "    address = ('127.0.0.1', int(os.environ['PORT']))\n"
    "    http.server.ThreadingHTTPServer(address, Handler).serve_forever()\n"
)


@pytest.fixture(scope="module")
def two(project: Project) -> dict[str, Any]:
    """`plain` says nothing of how it runs, `special` everything that concerns its container."""
    (project.folder / "app").mkdir()
    (project.folder / "app" / "main.py").write_text(PROGRAM)
    (project.folder / "app" / "cache").mkdir()
    (project.folder / "app" / "cache" / "README").write_text("a folder that the image has\n")
    project.file.write_text(
        "- {slug: ./app, name: plain, port: 8080}\n"
        "- {slug: ./app, name: special, port: 8080, tmpfs: {/tmp: 100m, /app/cache: 1m},"
        " memory: 200m, cpus: 0.5, stop_grace: 20}\n"
    )
    return project.deploy()


def run(project: Project, service: str, code: str, *arguments: str) -> Any:
    """Run Python in a service's app container; it prints JSON."""
    app = project.container(service, "app")
    status, output = app.exec_run(["/venv/bin/python", "-c", code, *arguments])
    assert status == 0, output.decode()
    return json.loads(output)


WHO = """
import getpass, grp, json, os, pwd
print(json.dumps([os.getuid(), pwd.getpwuid(os.getuid()).pw_name, getpass.getuser(),
                  grp.getgrgid(os.getgid()).gr_name, os.path.expanduser("~")]))
"""


def test_every_service_has_uids_that_nobody_else_has(two: dict[str, Any], project: Project) -> None:
    """Programs, Envoys and the gateway: five users; each program's user has a name and a home."""
    seen = {service: run(project, service, WHO) for service in ("plain", "special")}
    for uid, *names in seen.values():
        assert names == ["iac", "iac", "iac", "/tmp"]  # noqa: S108
        assert uid != 10001
    envoys = [(name, "envoy") for name in seen]
    containers = [project.container(*each) for each in envoys]
    containers.append(project.engine.containers.get(f"{project.name}-gateway"))
    uids = [top["Processes"] for top in (c.top(ps_args="-eo uid,pid") for c in containers)]
    owners = {row[0] for rows in uids for row in rows} | {str(who[0]) for who in seen.values()}
    assert all(len({row[0] for row in rows}) == 1 for rows in uids)
    assert len(owners) == 5


def test_a_key_belongs_to_its_own_envoy(two: dict[str, Any], project: Project) -> None:
    """Not to the neighbour's, and not to the program beside it."""
    folder = ROOT / "secrets" / project.name
    owners = {name: (folder / name / "tls.key").stat().st_uid for name in ("plain", "special")}
    for name, owner in owners.items():
        top = project.container(name, "envoy").top(ps_args="-eo uid,pid")["Processes"]
        assert {row[0] for row in top} == {str(owner)}
    assert len({*owners.values(), *(run(project, n, WHO)[0] for n in owners)}) == 4


THREADS = """
import json, sys, threading
done, count = threading.Event(), 0
try:
    for count in range(int(sys.argv[1])):
        threading.Thread(target=done.wait, daemon=True).start()
except RuntimeError:
    pass
print(json.dumps(count), flush=True)
done.wait(float(sys.argv[2]))
"""


def test_a_thread_bomb_ends_at_its_own_limit(two: dict[str, Any], project: Project) -> None:
    """While one service has used up its processes, the other starts as many as it likes."""
    bomb = project.container("plain", "app")
    argv = ["/venv/bin/python", "-c", THREADS, "1500", "30"]
    stream = bomb.exec_run(argv, stream=True)[1]
    assert 500 < json.loads(next(stream)) < 1024
    assert run(project, "special", THREADS, "200", "0") == 199
    bomb.restart(timeout=0)


SIZES = """
import json, pathlib, shutil
for path in ("/tmp", "/app/cache"):
    pathlib.Path(path, "written").touch()
print(json.dumps([shutil.disk_usage(path).total // 2**20 for path in ("/tmp", "/app/cache")]))
"""


def test_options_are_what_the_container_has(two: dict[str, Any], project: Project) -> None:
    """Sizes, limits and grace; and a second plan finds nothing to change."""
    assert run(project, "special", SIZES) == [100, 1]
    attributes = project.container("special", "app").attrs
    limits = attributes["HostConfig"]
    assert limits["Memory"] == limits["MemorySwap"] == 200 * 2**20
    assert limits["CpuQuota"] / limits["CpuPeriod"] == 0.5
    assert (
        attributes["Config"]["StopTimeout"] == 25
    )  # 20 for the calls and the program, 5 for what may hang
    assert "IAC_STOP_GRACE=20" in attributes["Config"]["Env"]
    project.iac("plan", "--file", str(project.file), "--detailed-exitcode")


CALL = """
import json, socket, sys
try:
    with socket.create_connection(("host.docker.internal", int(sys.argv[1])), 1) as stream:
        print(json.dumps(stream.recv(100).decode()))
except OSError as error:
    print(json.dumps(type(error).__name__))
"""


@pytest.fixture(scope="module")
def database() -> Iterator[int]:
    """What stands for a database on the host: it says hello on every address; its port."""
    with socket.create_server(("0.0.0.0", 0)) as server:  # noqa: S104 - as a database would

        def serve() -> None:
            while True:
                try:
                    client = server.accept()[0]
                except OSError:
                    return
                with client:
                    client.sendall(b"hello")

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]


def test_the_host_is_reached_by_name(two: dict[str, Any], project: Project, database: int) -> None:
    """Raw TCP, past the sidecar, from every service."""
    assert [run(project, name, CALL, str(database)) for name in ("plain", "special")] == [
        "hello",
        "hello",
    ]


@only_root
def test_the_documented_line_opens_a_firewall(
    two: dict[str, Any], project: Project, database: int
) -> None:
    """One that lets in what comes over docker0 stops services; a rule for their subnet does not.

    A rule for Docker's other bridges (br-+) does as well.
    """
    subnet = project.engine.networks.get(f"iacnet-{project.name}").attrs["IPAM"]["Config"][0]
    port = str(database)
    with rule(port, "-j", "DROP"), rule(port, "-i", "docker0", "-j", "ACCEPT"):
        assert run(project, "plain", CALL, port) == "TimeoutError"
        for line in (("-s", subnet["Subnet"]), ("-i", "br-+")):
            with rule(port, *line, "-j", "ACCEPT"):
                assert run(project, "plain", CALL, port) == "hello"


@contextmanager
def rule(port: str, *words: str) -> Iterator[None]:
    """A rule for one port in front of the host's own, while the block runs."""
    line = ["INPUT", "-p", "tcp", "--dport", port, *words]
    subprocess.run(["iptables", "-w", "-I", *line], check=True)
    try:
        yield
    finally:
        subprocess.run(["iptables", "-w", "-D", *line], check=True)


def test_first_deploys_at_the_same_time_share_no_uid(tmp_path: Path) -> None:
    """Six projects, as many checkouts: the real engine lets one of them have each block."""
    chosen = settings.load_settings(tmp_path, dict(os.environ))
    names = [f"t{secrets.token_hex(4)}" for _ in range(6)]
    start = threading.Barrier(len(names))

    def claim(name: str) -> set[int]:
        workspace = Workspace(Layout(tmp_path / name), chosen, name, lambda _event: None)
        apps = tuple(replace(deployed.app(service), image="x") for service in ("a", "b"))
        start.wait()
        found = users.claim(workspace, LockFile(name, name, "172.29.0.0/24", 1, apps))
        return {uid for each in found.values() for uid in each.block}

    try:
        with ThreadPoolExecutor(len(names)) as pool:
            claimed = list(pool.map(claim, names))
        assert len(set().union(*claimed)) == sum(map(len, claimed))
    finally:
        for name in names:
            uid_record.release(Engine(), name)


AS_MEMBER = """
import os, sys
from pathlib import Path
from iac_wrapper.identity import ownership
from iac_wrapper.identity.certificates import ensure_ca, ensure_leaf
from iac_wrapper.adapters.engine import Engine
folder, image, gid = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
Engine().ping()  # imports what nobody but root may read afterwards
ensure_leaf(ensure_ca(folder / "warm"), folder / "warm/s", name="s", trust_domain="d", owner_uid=0)
os.setgroups([gid]); os.setgid(4242); os.setuid(4242)
give = ownership.giver(Engine(), image, "none")
def leaf(force):
    return ensure_leaf(ensure_ca(folder / "secrets"), folder / "secrets/p/s", name="s",
                       trust_domain="d", owner_uid=30001, give=give, force=force)
for made in (leaf(False), leaf(True), leaf(False)):
    print(made.issued, made.key.stat().st_uid, oct(made.key.stat().st_mode & 0o777))
"""


@only_root
def test_a_member_of_the_docker_group_can_give_a_key_away() -> None:
    """No chown there: a short container does it, at the first issue and at each rotation."""
    image = machine.record().sidecar_image
    group = str(Path("/var/run/docker.sock").stat().st_gid)
    folder = tempfile.mkdtemp(prefix="iac-test-")
    os.chown(folder, 4242, 4242)
    done = subprocess.run(
        [sys.executable, "-c", AS_MEMBER, folder, image, group],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    shutil.rmtree(folder)
    assert done.stdout.splitlines() == [
        "True 30001 0o600",
        "True 30001 0o600",
        "False 30001 0o600",
    ], done.stderr


def test_a_destroy_gives_the_uids_back(two: dict[str, Any], project: Project) -> None:
    """What has no volume leaves no entry in the record."""

    def entries() -> list[str]:
        return [v for v in uid_record.labels_in_use(Engine()) if f" {project.name}/" in v]

    assert {entry.partition("/")[2] for entry in entries()} == {"gateway", "plain", "special"}
    project.iac("destroy", "--yes")
    assert entries() == []
