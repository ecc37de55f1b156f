"""A project of its own per module, on the real engine; destroyed at the end, whatever happened."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import docker
import pytest

from iac_wrapper.model.labels import FOREIGN, UIDS
from iac_wrapper.model.users import program_of
from tests.support import own_venv
from tests.support.git_server import GitServer
from tests.support.stream import lines_of

ROOT = Path(__file__).resolve().parents[2]
IAC = str(Path(sys.executable).with_name("iac"))

NO_SPARE = {"IAC_SPARE_IMAGES": "0"}
"""A destroy leaves no image: nobody deploys these projects again."""


@dataclass
class Project:
    """Runs `iac` for one random project, as a person would, from the project folder."""

    name: str
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    patience: float = 200.0
    said: list[dict[str, Any]] = field(default_factory=list)
    """What the last deploy printed, a line an item."""

    @property
    def file(self) -> Path:
        return self.folder / "repos.yaml"

    @property
    def directory(self) -> Path:
        """Where `iac` keeps the project's state."""
        return ROOT / ".iac" / "projects" / self.name

    def iac(self, *arguments: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run a verb; fail the test unless it ends with `code` (None: any), and never with a
        traceback."""
        return self.run(self.argv(*arguments), code=code)

    def run(self, argv: list[str], *, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run a command in the project folder, with the same demands."""
        done = subprocess.run(
            argv,
            cwd=ROOT,
            env={**os.environ, **NO_SPARE, **self.environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=self.patience,
        )
        output = done.stdout + done.stderr
        assert code in (None, done.returncode), f"{argv}: {done.returncode}\n{output}"
        assert not re.search(r"^Traceback", output, re.M), output  # a program's own is indented
        return done

    def argv(self, *arguments: str) -> list[str]:
        return [IAC, *arguments, "--project", self.name]

    def deploy(self, *more: str, code: int = 0) -> dict[str, Any]:
        """Deploy the file and return the JSON verdict."""
        done = self.iac("deploy", "--file", str(self.file), "--json", *more, code=code)
        self.said = lines_of(done.stdout)
        verdict: dict[str, Any] = self.said[-1]["result"]
        return verdict

    def health(self, *, code: int = 0) -> dict[str, dict[str, Any]]:
        """Health by service."""
        done = self.iac("health", "--json", code=code)
        return {service["name"]: service for service in json.loads(done.stdout)["services"]}

    def container_ids(self) -> dict[str, str]:
        """Name -> id of every container of the project."""
        found = self.engine.containers.list(all=True, filters=self.label, ignore_removed=True)
        return {container.name: str(container.id) for container in found}

    def image_tags(self) -> list[str]:
        """The app images of the project. Not by `images.list`, which looks at each image of the
        engine once more: somebody else's may be gone by then."""
        images = self.engine.api.images(filters=self.label)
        return [tag for image in images for tag in image["RepoTags"] or []]

    def container(self, service: str, role: str) -> Any:
        """One of a service's; commands in an app's container have its program's user."""
        found = self.engine.containers.get(f"{self.name}-{service}-{role}")
        if role == "app" and FOREIGN not in found.labels:
            found.exec_run = partial(found.exec_run, user=program_of(found.labels[UIDS]))
        return found

    def traces(self) -> list[str]:
        """All that a deploy leaves: files, image histories, containers and what they printed."""
        folders = [self.directory, self.folder, ROOT / ".iac" / "cache", ROOT / "cdktf.out"]
        folders += [ROOT / ".iac" / "build" / self.name, ROOT / "secrets" / "build"]
        folders += [self.ledger]
        files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
        assert any(path.name == "terraform.tfstate" for path in files)
        api, ids = self.engine.api, self.container_ids().values()
        texts = [json.dumps(api.history(tag)) for tag in self.image_tags()]
        texts += [json.dumps(api.inspect_container(one)) for one in ids]
        texts += [api.logs(one).decode("latin-1") for one in ids]
        for path in files:
            with suppress(FileNotFoundError):  # the cache is that of all projects of the folder
                texts.append(path.read_bytes().decode("latin-1"))
        return texts

    @property
    def ledger(self) -> Path:
        """What was done to the project; stays after a destroy."""
        return ROOT / ".iac" / "ledger" / self.name

    @property
    def label(self) -> dict[str, str]:
        return {"label": f"org.karstkit.project={self.name}"}

    @property
    def engine(self) -> docker.DockerClient:
        return docker.from_env()


@contextmanager
def make_project(
    folders: pytest.TempPathFactory, environment: dict[str, str], patience: float = 200.0
) -> Iterator[Project]:
    """A random project; a command of its may take `patience` seconds. Destroyed at the end."""
    name = f"t{secrets.token_hex(4)}"
    made = Project(name, folders.mktemp(name), environment, patience)
    try:
        yield made
    finally:
        made.iac("destroy", "--yes", "--if-exists")
        shutil.rmtree(made.ledger, ignore_errors=True)


@pytest.fixture(scope="module")
def git_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitServer]:
    """A git host on loopback: smart HTTP and archives."""
    with GitServer(tmp_path_factory.mktemp("git")) as server:
        yield server


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, git_server: GitServer) -> Iterator[Project]:
    """A random project whose gh: slugs go to the local git host."""
    with make_project(tmp_path_factory, {"IAC_GITHUB_URL": git_server.url}) as made:
        yield made


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree as git has it and as it is edited: what a git URL would give."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    made = tmp_path_factory.mktemp("tree")
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (made / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, made / name)
    return made


@pytest.fixture(scope="session")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """KarstKit's wheel, built from `source`."""
    out = tmp_path_factory.mktemp("wheel")
    own_venv.build(source, out, "--wheel")
    (made,) = out.glob("*.whl")
    return made
