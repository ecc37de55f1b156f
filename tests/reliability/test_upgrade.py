"""Another version of the tool: the sidecars are replaced, service by service, under load."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.e2e.conftest import IAC, NO_SPARE, ROOT
from tests.reliability.conftest import Record
from tests.support.own_venv import run
from tests.support.rollouts import server

pytestmark = [pytest.mark.reliability, pytest.mark.row(15)]

SIDECAR = ("runner/sidecar", "iac_wrapper/bootstrap/sidecar.Dockerfile")
"""What the sidecar's image is made of."""

CALLER = """
import http.client, json, os, signal, threading, time
failed, sent, stop, lock = [], 0, threading.Event(), threading.Lock()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
def run():
    global sent
    connection = http.client.HTTPConnection('web', 8080, timeout=10)
    while not stop.is_set():
        try:
            connection.request('GET', '/')
            answer = connection.getresponse()
            body = answer.read().decode()
            if answer.status != 200: raise RuntimeError(f'{answer.status} {body[:200]}')
        except Exception as error:
            with lock: failed.append(f'{type(error).__name__} {error}')
            connection.close()
        with lock: sent += 1
        time.sleep(0.04)
threads = [threading.Thread(target=run) for _ in range(8)]
for each in threads: each.start()
for each in threads: each.join()
with open(f'/data/{time.time()}.json', 'w') as file:
    json.dump({'sent': sent, 'failed': failed}, file)
"""
"""Calls `web` 200 times a second until it is told to end, and writes down what it counted."""

COUNTED = "import glob; print('[' + ','.join(open(p).read() for p in glob.glob('/data/*')) + ']')"

ENTRIES = """\
- {slug: ./web, port: 8080}
- {slug: ./other, port: 8080}
- {slug: ./caller, run: worker, volumes: {data: /data}}
"""


@dataclass(frozen=True)
class Shop:
    """A project folder outside of any checkout."""

    folder: Path
    name: str

    def iac(self, program: str | Path, verb: str, *arguments: str) -> str:
        """What a verb of one version of `iac` prints; it must succeed."""
        argv = [program, "-C", self.folder, verb, "--project", self.name, *arguments]
        return run(*argv, cwd=Path("/"), **NO_SPARE)

    def containers(self) -> dict[str, Any]:
        """By name without the project's, sorted by when they were made."""
        labels = {"label": f"org.karstkit.project={self.name}"}
        found = docker.from_env().containers.list(filters=labels, ignore_removed=True)
        found.sort(key=lambda each: str(each.attrs["Created"]))
        return {each.name.removeprefix(f"{self.name}-"): each for each in found}


def _git(*arguments: str | Path) -> str:
    return run("git", *arguments, cwd=ROOT).strip()


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The commit before the last one that changed the sidecar, and `iac` of a checkout of it."""
    commit = _git("rev-parse", "--short", _git("log", "-1", "--format=%h", "--", *SIDECAR) + "~1")
    folder = tmp_path_factory.mktemp("before") / "checkout"
    _git("worktree", "add", "--detach", folder, commit)
    try:
        run("make", "bootstrap", cwd=folder)
        yield commit, folder / ".venv" / "bin" / "iac"
    finally:
        _git("worktree", "remove", "--force", folder)


@pytest.fixture
def shop(before: tuple[str, Path], tmp_path: Path) -> Iterator[Shop]:
    """Two servers and a caller, deployed by the version before."""
    made = Shop(tmp_path / "shop", f"t{secrets.token_hex(4)}")
    made.folder.mkdir()
    run(before[1], "init", cwd=made.folder)
    programs = {"web": server("one"), "other": server("one"), "caller": CALLER}
    for name, code in programs.items():
        (made.folder / name).mkdir()
        (made.folder / name / "main.py").write_text(code)
    (made.folder / "repos.yaml").write_text(ENTRIES)
    try:
        made.iac(before[1], "deploy")
        yield made
    finally:
        made.iac(IAC, "destroy", "--yes", "--volumes", "--if-exists")


def test_an_upgrade_loses_no_request(shop: Shop, before: tuple[str, Path], record: Record) -> None:
    """The next deploy by the new version brings its sidecars, to the caller as well, both of whose
    containers end with all of their calls answered."""
    old = shop.containers()
    planned = shop.iac(IAC, "plan")
    shop.iac(IAC, "deploy")
    new = shop.containers()
    shop.iac(IAC, "restart", "caller")  # so that the second one tells what it counted as well
    counted = json.loads(shop.iac(IAC, "exec", "caller", "--", "python", "-c", COUNTED))
    sent, failed = sum(each["sent"] for each in counted), [f for c in counted for f in c["failed"]]
    sidecars = [name for name in new if name.endswith("-envoy")]
    record(
        f"a project of commit {before[0]} deployed by this version under load",
        f"{len(sidecars)} sidecars and the gateway replaced, {sent} calls",
        f"{len(failed)} failed",
    )
    assert old.keys() == new.keys()
    assert all(old[name].image.id != new[name].image.id for name in (*sidecars, "gateway"))
    assert "sidecar" in planned
    assert len(counted) == 2
    assert sent > 0
    assert failed == []
