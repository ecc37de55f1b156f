"""Sixty services on a kernel at its defaults: minutes long, hence `make reliability`.

33 were too many when all Envoys had one uid: each holds four inotify instances, and the kernel
allows a user 128.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Project, make_project

pytestmark = [pytest.mark.reliability, pytest.mark.slow]

SERVICES = 60
INSTANCES = Path("/proc/sys/fs/inotify/max_user_instances")
PROGRAM = (
    "import http.server, os\n"
    "class Handler(http.server.BaseHTTPRequestHandler):\n"
    "    def do_GET(self):\n"
    "        self.send_response(200); self.send_header('content-length', '0'); self.end_headers()\n"
    "if __name__ == '__main__':\n"
    "    address = ('127.0.0.1', int(os.environ['PORT']))\n"
    "    http.server.ThreadingHTTPServer(address, Handler).serve_forever()\n"
)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project of many small services from one folder; what it does may take long."""
    with make_project(tmp_path_factory, {"IAC_HEALTH_TIMEOUT": "600"}, patience=3000) as made:
        (made.folder / "app").mkdir()
        (made.folder / "app" / "main.py").write_text(PROGRAM)
        made.file.write_text(
            "".join(
                f"- {{slug: ./app, name: s{n:02}, port: 8080}}\n" for n in range(1, SERVICES + 1)
            )
        )
        yield made


def inotify_instances(uid: int) -> int:
    """How many the processes of a user hold."""
    count = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if process.stat().st_uid == uid:
                links = [str(link.readlink()) for link in (process / "fd").iterdir()]
                count += links.count("anon_inode:inotify")
        except OSError:  # it has ended
            continue
    return count


def test_sixty_services_are_healthy_on_a_kernel_at_its_defaults(project: Project) -> None:
    """All SERVING over mTLS, none restarted, and each Envoy far from its own limit."""
    limit = int(INSTANCES.read_text())
    assert limit <= 128, f"{INSTANCES} is not at the kernel's default"
    begin = time.monotonic()
    report = project.deploy()
    deployed = time.monotonic() - begin
    assert report["verdict"] == "ok"
    assert len(report["services"]) == SERVICES
    health = project.health()
    assert {service["status"] for service in health.values()} == {"SERVING"}
    containers = project.engine.containers.list(all=True, filters=project.label)
    assert len(containers) == 2 * SERVICES + 1
    assert {c.attrs["RestartCount"] for c in containers} == {0}
    uids = {
        int(value.partition("=")[2])
        for c in containers
        for value in c.attrs["Config"]["Env"]
        if value.startswith("IAC_ENVOY_UID=")
    }
    held = {uid: inotify_instances(uid) for uid in uids}
    assert len(uids) == SERVICES + 1
    assert sum(held.values()) > limit, "with one uid for all this would have been too many"
    assert max(held.values()) < limit / 2
    print(f"\n{SERVICES} services SERVING {deployed:.0f} s after the deploy began,")
    print(f"{sum(held.values())} inotify instances, at most {max(held.values())} for one uid")
