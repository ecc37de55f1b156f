"""Sixty operations on five services, as a team does them in a week: what they leave on the disk."""

from __future__ import annotations

import json
import random
import secrets
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.e2e.conftest import ROOT, Project, make_project
from tests.reliability.conftest import Record
from tests.support import machine
from tests.support.git_server import GitServer
from tests.support.load import Load
from tests.support.rollouts import IDLE, server

pytestmark = [pytest.mark.reliability, pytest.mark.row(16)]

OPERATIONS = 60
SERVERS = ("web", "api", "search", "admin")

OWN_BYTES = 4 * 2**20
"""What the project's folders may grow by: the ledger's lines, locks and logs of 60 operations."""


class Team:
    """Does to the project `shop` what people do, and says how a command must end."""

    def __init__(self, shop: Project, host: GitServer, chance: random.Random) -> None:
        self._shop, self._host, self._chance = shop, host, chance
        self._env, self._there, self._version = 0, [*SERVERS], 0
        self.done = Counter[str]()

    def write(self) -> None:
        """repos.yaml, as it is by now."""
        entries = [
            f"- {{slug: gh:acme/{name}, port: 8080, env: {{TURN: '{self._env}'}}}}\n"
            for name in self._there
        ]
        self._shop.file.write_text("".join([*entries, "- {slug: gh:acme/caller, run: worker}\n"]))

    def do(self) -> None:
        """One operation by chance; commits are the most frequent."""
        each = self._chance.choices(
            [self.push, self.env, self.broken, self.build, self.back, self.run, self.look],
            [24, 6, 6, 4, 6, 6, 8],
        )[0]
        self.done[each.__name__] += 1
        each()

    def _deploy(self, code: int = 0) -> None:
        self.write()
        self._shop.iac("deploy", "--file", str(self._shop.file), code=code)

    def _commit(self, files: dict[str, str]) -> None:
        # Not `web`: somebody calls that all the time.
        self._host.repository(f"acme/{self._chance.choice(SERVERS[1:])}").commit(files)

    def push(self) -> None:
        """A new version."""
        self._version += 1
        self._commit({"main.py": server(f"version {self._version}"), "requirements.txt": ""})
        self._deploy()

    def env(self) -> None:
        """Another value for all."""
        self._env += 1
        self._deploy()

    def broken(self) -> None:
        """A version that ends at once, and the one that mends it."""
        name = self._chance.choice(SERVERS[1:])
        self._host.repository(f"acme/{name}").commit({"main.py": "raise SystemExit('oh')\n"})
        self._deploy(code=7)
        self._host.repository(f"acme/{name}").commit({"main.py": server("mended")})
        self._deploy()

    def build(self) -> None:
        """Requirements that cannot be had, and their correction."""
        name = self._chance.choice(SERVERS[1:])
        repository = self._host.repository(f"acme/{name}")
        repository.commit({"requirements.txt": "no-such-package-anywhere==99\n"})
        self._deploy(code=5)
        repository.commit({"requirements.txt": ""})
        self._deploy()

    def back(self) -> None:
        """A rollback, where there is something to go back to."""
        done = self._shop.iac("rollback", code=None)
        assert done.returncode in (0, 2), done.stderr

    def run(self) -> None:
        """A command in a container of its own."""
        self._shop.iac("run", self._chance.choice(SERVERS), "--", "python", "-c", "print(1)")

    def look(self) -> None:
        """What people look at."""
        for verb in ("status", "releases", "health", "certs", "policy"):
            self._shop.iac(verb)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[GitServer]:
    """A git host with five repositories."""
    with GitServer(tmp_path / "git") as made:
        for name in SERVERS:
            made.repository(f"acme/{name}").commit({"main.py": server("first")})
        made.repository("acme/caller").commit({"main.py": IDLE})
        yield made


def _folder(path: Path) -> int:
    """Bytes of a folder."""
    return sum(each.lstat().st_size for each in path.rglob("*")) if path.exists() else 0


def _own(project: Project) -> int:
    """Bytes of what `iac` keeps of a project, its releases' contexts apart."""
    return sum(map(_folder, (project.directory, project.ledger, ROOT / ".iac" / "cache")))


def _layers() -> int:
    """Bytes of all images of the engine, each layer once."""
    found: dict[str, Any] = docker.from_env().df()
    return int(found["LayersSize"])


def test_a_week_leaves_the_releases_that_are_kept(
    host: GitServer, record: Record, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Images beside the kept ones, build contexts, logs and caches do not pile up."""
    seed = secrets.randbelow(10**6)
    with make_project(tmp_path_factory, {"IAC_GITHUB_URL": host.url}) as shop:
        team = Team(shop, host, random.Random(seed))  # noqa: S311 - no secret
        team.write()
        shop.deploy()
        base = docker.from_env().images.get(machine.base_image()).attrs["Size"]
        layers, own = _layers(), _own(shop)
        load = Load(shop.container("caller", "app"), "web")
        try:
            while team.done.total() < OPERATIONS:
                team.do()
        finally:
            inside = load.end()
        listed = json.loads(shop.iac("images", "--json").stdout)["images"]
        images = [docker.from_env().images.get(each["name"]) for each in listed]
        kept = sum(each.attrs["Size"] - base for each in images)
        grown, more = _layers() - layers, _own(shop) - own
        done = ", ".join(f"{name} {count}" for name, count in sorted(team.done.items()))
        record(
            f"{OPERATIONS} operations (seed {seed}): {done}",
            f"{len(images)} images kept, {inside.sent} calls meanwhile",
            f"images grew by {grown / 2**20:.1f} MiB (those that are kept have"
            f" {kept / 2**20:.1f}), the folders of the project by {more / 2**20:.1f} MiB;"
            f" {len(inside.failed)} calls failed",
        )
    assert grown <= kept
    assert more <= OWN_BYTES
    assert inside.failed == []
