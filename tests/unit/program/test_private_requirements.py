"""Which repositories among the requirements this machine fetches, and that builds can read them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from iac_wrapper.errors import SourceError
from iac_wrapper.program.private_requirements import (
    FOLDER,
    private_repositories,
    write_repositories,
)
from iac_wrapper.settings import Settings
from tests.support.git_server import GitServer
from tests.support.sentinel import SENTINEL, files_showing, process_list, showing

HOSTS = Settings().hosts


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    with GitServer(tmp_path / "server") as running:
        running.repository("acme/lib").commit({"lib.py": "X = 1\n"})
        running.token = SENTINEL
        yield running


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of a user without any configuration of git."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(home / ".gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    return home


def _netrc(home: Path, server: GitServer) -> None:
    del server
    (home / ".netrc").write_text(f"machine 127.0.0.1 login me password {SENTINEL}\n")


def _helper(home: Path, server: GitServer) -> None:
    kept = home / ".git-credentials"
    kept.write_text(server.url.replace("://", f"://me:{SENTINEL}@") + "\n")
    kept.chmod(0o600)
    (home / ".gitconfig").write_text("[credential]\n\thelper = store\n")


def _instead_of(home: Path, server: GitServer) -> None:
    there = server.url.replace("://", f"://me:{SENTINEL}@")
    (home / ".gitconfig").write_text(f'[url "{there}/"]\n\tinsteadOf = {server.url}/\n')


@pytest.mark.parametrize("way", [_netrc, _helper, _instead_of])
def test_what_opens_a_slug_opens_a_requirement(
    tmp_path: Path, home: Path, server: GitServer, way: object
) -> None:
    """Fetched by this machine, and led to in the build; no secret is in the copy or on a command
    line. On another machine the build asks the server itself."""
    url = f"{server.url}/acme/lib.git"
    assert private_repositories([url], HOSTS) == {}
    assert callable(way)
    way(home, server)
    with process_list() as seen:
        found = private_repositories([url], HOSTS)
    assert list(found) == [url]
    assert not showing(seen)
    assert not showing([repr(found)])
    copy = tmp_path / FOLDER
    write_repositories(found, copy)
    assert not files_showing(copy)
    config = (copy / "config").read_text().replace("/run/git", str(copy))
    (home / ".gitconfig").write_text(config)
    (home / ".netrc").unlink(missing_ok=True)
    listed = subprocess.run(["git", "ls-remote", url, "main"], capture_output=True, check=True)
    assert listed.stdout.endswith(b"\trefs/heads/main\n")


def test_a_helper_without_a_password_opens_nothing(home: Path, server: GitServer) -> None:
    """Nor does one that fails: the build asks the server, and nobody is asked for a password."""
    for helper in ("store", "!false", "!echo username=me; true"):
        (home / ".gitconfig").write_text(f'[credential]\n\thelper = "{helper}"\n')
        assert private_repositories([f"{server.url}/acme/lib.git"], HOSTS) == {}


def test_one_that_cannot_be_fetched_is_named(tmp_path: Path, home: Path, server: GitServer) -> None:
    """With the requirement's own text, and without the password that was tried."""
    wrong = SENTINEL[:-1] + "w"
    there = server.url.replace("://", f"://{wrong}@")
    (home / ".gitconfig").write_text(f'[url "{there}/"]\n\tinsteadOf = {server.url}/\n')
    url = f"{server.url}/acme/lib.git"
    with pytest.raises(SourceError, match="not found, or private") as caught:
        write_repositories(private_repositories([url], HOSTS), tmp_path / FOLDER)
    assert caught.value.where == f"a requirement, {url}"
    assert not showing([caught.value.render(), repr(caught.value.detail)], wrong)


def test_a_token_written_as_a_variable_is_ours(
    tmp_path: Path, home: Path, server: GitServer
) -> None:
    """``git+https://${TOKEN}@…``, as pip has it: no such variable is in the build, so the
    repository is fetched by this machine, if that has the token."""
    url = server.url.replace("://", "://${GITHUB_TOKEN}@") + "/acme/lib.git"
    hosts = Settings(IAC_GITHUB_URL=server.url, GITHUB_TOKEN=SENTINEL).hosts
    found = private_repositories([url], hosts)
    write_repositories(found, tmp_path / FOLDER)
    assert found[url].url == f"{server.url}/acme/lib.git"
    (home / ".gitconfig").write_text(
        (tmp_path / FOLDER / "config").read_text().replace("/run/git", str(tmp_path / FOLDER))
    )
    for asked in (url, url.replace("${", "$%7B").replace("}", "%7D"), found[url].url):
        subprocess.run(["git", "ls-remote", asked], capture_output=True, check=True)
