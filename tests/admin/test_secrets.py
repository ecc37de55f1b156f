"""A token of this machine that a deploy of the API uses, and everything that callers can see."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.admin_api import Api, Client, admin_api, wait_for
from tests.support.git_server import GitServer
from tests.support.sentinel import SENTINEL, files_showing, process_list, showing

pytestmark = pytest.mark.slow


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    """A program whose requirement is as private as itself."""
    with GitServer(tmp_path / "server") as running:
        running.repository("acme/lib").commit({"lib.py": "X = 1\n"})
        running.repository("acme/hello").commit(
            {
                "main.py": "print('hello')\n",
                "requirements.txt": f"lib @ git+{running.url}/acme/lib.git@main\n",
            }
        )
        running.token = SENTINEL
        yield running


def _ends(client: Client, path: str, **body: Any) -> tuple[dict[str, Any], list[str]]:
    """A deployment once it has ended, and every text that its caller could read."""
    accepted = client.post(path, json=body)
    ended = wait_for(client, accepted.json())
    answers = [accepted, *(client.get(ended["links"][name]) for name in ("self", "events"))]
    answers.append(client.get("/deployments"))
    return ended, [text for one in answers for text in (one.text, json.dumps(dict(one.headers)))]


def _hides(api: Api, seen: set[str], texts: list[str], token: str = SENTINEL) -> None:
    assert any("git" in line for line in seen)
    assert not showing([*seen, *texts], token)
    assert not files_showing(api.root, token)


def test_the_token_of_a_host_is_shown_nowhere(tmp_path: Path, server: GitServer) -> None:
    """Not in answers, events, jobs, audit, contexts, cache or process list; nor is a wrong one.

    There is no main.py: the deploy ends when what it fetched is on the disk.
    """
    with admin_api(tmp_path / "a", IAC_GITHUB_URL=server.url, GITHUB_TOKEN=SENTINEL) as api:
        with process_list() as seen:
            ended, texts = _ends(api.http("deployer"), "/deploy", slugs=["gh:acme/hello"])
        assert "main.py" in ended["error"]["message"], ended
        assert list((api.root / ".iac" / "build").glob("*/*/git/0.git"))
        _hides(api, seen, texts)
        assert api.audit()
    wrong = SENTINEL[:-1] + "w"
    with admin_api(tmp_path / "b", IAC_GITHUB_URL=server.url, GITHUB_TOKEN=wrong) as api:
        with process_list() as seen:
            ended, texts = _ends(api.http("deployer"), "/plan", slugs=["gh:acme/hello"])
        assert ended["error"]["message"] == "repository not found, or private"
        _hides(api, seen, texts, wrong)


def test_netrc_is_shown_nowhere(
    tmp_path: Path, server: GitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It opens any host, for who may name this one."""
    netrc = tmp_path / ".netrc"
    netrc.write_text(f"machine 127.0.0.1 login me password {SENTINEL}\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    with admin_api(tmp_path / "a") as api:
        slug = f"git+{server.url}/acme/hello.git"
        with process_list() as seen:
            ended, texts = _ends(api.socket(), "/deploy", slugs=[slug])
        assert "main.py" in ended["error"]["message"], ended
        _hides(api, seen, texts)


def test_offline_asks_no_git_host(tmp_path: Path, server: GitServer) -> None:
    """A branch is not known then; a full SHA is taken from the cache, once it is there."""
    (tmp_path / "root").mkdir()
    sha = server.repository("acme/plain").commit({"main.py": "print('hello')\n"})
    with admin_api(tmp_path / "root", IAC_GITHUB_URL=server.url, GITHUB_TOKEN=SENTINEL) as api:
        client, slugs = api.http("deployer"), [f"gh:acme/plain#{sha}"]
        ended, _ = _ends(client, "/plan", slugs=["gh:acme/plain"], offline=True)
        assert "known only to its server" in ended["error"]["message"]
        ended, _ = _ends(client, "/plan", slugs=slugs, offline=True)
        assert "not in the cache" in ended["error"]["message"]
        assert server.requests == []
        _ends(client, "/plan", slugs=slugs)
        asked = len(server.requests)
        ended, _ = _ends(client, "/plan", slugs=slugs, offline=True)
        assert "main.py" in ended["error"]["message"]
        assert len(server.requests) == asked
