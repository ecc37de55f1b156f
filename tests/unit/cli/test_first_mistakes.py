"""docs/first-mistakes.md, followed: what it shows is what a person sees."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from click.testing import CliRunner

from iac_wrapper import cli
from tests.support.git_server import GitServer

PAGE = Path(__file__).parents[3] / "docs" / "first-mistakes.md"

_SECTION = re.compile(
    r"^## (?P<title>.+)\n+(?:```yaml\n(?P<file>(?:.*\n)*?)```\n+)?"
    r"```console\n\$ iac (?P<command>.+)\n"
    r"(?P<said>(?:.*\n)*?)exit code (?P<code>\d+)\n```$",
    re.M,
)


class Mistake(NamedTuple):
    """A section: repos.yaml if there is one, the arguments of `iac`, what it says, how it ends."""

    title: str
    file: str | None
    command: str
    said: str
    code: str


MISTAKES = [Mistake(**found.groupdict()) for found in _SECTION.finditer(PAGE.read_text("utf-8"))]


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitServer]:
    """A git host with a repository in Python and one in Go."""
    with GitServer(tmp_path_factory.mktemp("git")) as server:
        server.repository("acme/orders").commit({"main.py": "print('hello')\n"})
        server.repository("acme/relay").commit({"main.go": "package main\n", "go.mod": "\n"})
        yield server


def test_the_page_has_ten() -> None:
    """None of them is overlooked because it is written in another way."""
    assert len(MISTAKES) == PAGE.read_text("utf-8").count("\n## ") == 10


@pytest.mark.parametrize("mistake", MISTAKES, ids=[each.title for each in MISTAKES])
def test_a_mistake_is_answered_as_the_page_says(
    mistake: Mistake, host: GitServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cause, what was found and expected, what to do next, and the exit code."""
    for name in ("cdktf.json", "main.py"):
        (tmp_path / name).write_text("{}" * (name == "cdktf.json"))
    if mistake.file:
        (tmp_path / "repos.yaml").write_text(mistake.file)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IAC_GITHUB_URL", host.url)
    monkeypatch.delenv("GITHUB_TOKEN", raising=False)
    done = CliRunner().invoke(cli.main, shlex.split(mistake.command), prog_name="iac")
    said = done.output.replace(host.url, "https://github.com").replace(str(tmp_path), "/srv/shop")
    assert [line.rstrip() for line in said.splitlines()] == mistake.said.splitlines()
    assert str(done.exit_code) == mistake.code
