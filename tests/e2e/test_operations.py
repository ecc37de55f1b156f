"""The chapter "Operations" of the README, typed in order: each command ends well."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import IAC, NO_SPARE, ROOT, Project, make_project
from tests.support.rollouts import IDLE, server

pytestmark = pytest.mark.integration

_CHAPTER = re.compile(r"^## Operations\n.*?^```console\n(.*?)^```$", re.M | re.S)


def _commands() -> list[str]:
    found = _CHAPTER.search((ROOT / "README.md").read_text(encoding="utf-8"))
    assert found
    return [line.removeprefix("$ ") for line in found[1].splitlines()]


@pytest.fixture
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The folder of a project with a server and a worker, as `iac init` leaves it."""
    with make_project(tmp_path_factory, {}) as made:
        made.run([IAC, "-C", str(made.folder), "init"])
        for name, code in (("web", server("hello")), ("jobs", IDLE)):
            (made.folder / name).mkdir()
            (made.folder / name / "main.py").write_text(code)
        made.file.write_text("- {slug: ./web, port: 8080}\n- {slug: ./jobs, run: worker}\n")
        yield made


def test_the_chapter_can_be_typed(shop: Project) -> None:
    """In a shell, in the project's folder, with its name as a setting."""
    environment = {**os.environ, **NO_SPARE, "IAC_PROJECT": shop.name}
    environment["PATH"] = f"{Path(IAC).parent}:{environment['PATH']}"
    commands = _commands()
    try:
        for command in commands:
            done = subprocess.run(
                ["bash", "-c", command],
                cwd=shop.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=shop.patience,
            )
            assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        releases = shop.run([IAC, "-C", str(shop.folder), "releases", "--json", *_named(shop)])
    finally:
        shop.run([IAC, "-C", str(shop.folder), "destroy", "--yes", "--if-exists", *_named(shop)])
    kinds = [each["kind"] for each in json.loads(releases.stdout)["releases"] if each["release"]]
    assert kinds == ["start", "stop", "restart", "rollback", "deploy", "deploy"]


def _named(shop: Project) -> list[str]:
    return ["--project", shop.name]
