"""Private repositories, end to end: tokens, ~/.netrc, ssh keys and agents, and who sees them."""

from __future__ import annotations

import base64
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from iac_wrapper.errors import SourceError
from iac_wrapper.files import repos_file
from iac_wrapper.model.app import Checkout
from iac_wrapper.settings.sources import load_settings
from iac_wrapper.sources.resolve import resolve
from tests.support import certificate_lab
from tests.support.certificate_lab import Issuer
from tests.support.git_server import GitServer
from tests.support.sentinel import SENTINEL, files_showing, process_list, showing
from tests.support.ssh_server import SshServer, ssh_server

pytestmark = pytest.mark.slow

LFS = "*.bin filter=lfs -text\n"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    with GitServer(tmp_path / "server") as running:
        running.token = SENTINEL
        running.repository("acme/hello").commit(
            {
                ".gitattributes": LFS,
                "main.py": "one\n",
                "m.bin": running.lfs_pointer(b"content"),
            }
        )
        yield running


@pytest.fixture
def ssh(tmp_path: Path, server: GitServer) -> Iterator[SshServer]:
    del server  # makes the repositories
    with ssh_server(tmp_path / "sshd", tmp_path / "server") as running:
        yield running


class Run:
    """`resolve` with everything that it says and writes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lines: list[str] = []

    def __call__(self, slug: str, *keys: str, **settings: str) -> Checkout:
        file = self.folder / "repos.yaml"
        file.write_text("".join(f"{line}\n" for line in (f"- slug: {slug}", *keys)))
        (done,) = resolve(
            repos_file.load_entries(file),
            load_settings(None, settings),
            cache=self.folder / "cache",
            progress=self.lines.append,
        )
        return done

    def shows(self, token: str = SENTINEL, *more: str) -> list[object]:
        """What shows the token of all that can be seen of a run afterwards."""
        return [*showing([*self.lines, *more], token), *files_showing(self.folder / "cache", token)]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


@pytest.mark.parametrize(
    ("slug", "base", "token"),
    [
        ("gh:acme/hello", "IAC_GITHUB_URL", "GITHUB_TOKEN"),
        ("gl:acme/hello", "IAC_GITLAB_URL", "GITLAB_TOKEN"),
        ("bb:acme/hello", "IAC_BITBUCKET_URL", "BITBUCKET_TOKEN"),
        ("git+{url}/acme/hello.git", "IAC_GITHUB_URL", "GITHUB_TOKEN"),
    ],
)
def test_a_token_opens_its_host_and_shows_nowhere(
    server: GitServer, run: Run, slug: str, base: str, token: str
) -> None:
    """Refs, archive or clone, and Git LFS; nothing said, written or run has it in it."""
    with process_list() as seen:
        done = run(
            slug.format(url=server.url), "  lfs: true", **{base: server.url, token: SENTINEL}
        )
    assert (done.path / "m.bin").read_bytes() == b"content"
    assert any("ls-remote" in line or "git" in line for line in seen)
    assert not run.shows()
    assert not showing(seen)
    wrong = SENTINEL[:-1] + "w"
    with pytest.raises(SourceError, match="not found, or private") as caught:
        run(slug.format(url=server.url), **{base: server.url, token: wrong})
    assert token in (caught.value.next_step or "")
    assert not run.shows(wrong, caught.value.render())


def test_netrc(server: GitServer, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """What git reads there opens any host, for Git LFS as well; without it the step names it."""
    slug = f"git+{server.url}/acme/hello.git"
    with pytest.raises(SourceError, match="not found, or private") as caught:
        run(slug)
    assert "~/.netrc" in (caught.value.next_step or "")
    netrc = run.folder / ".netrc"
    netrc.write_text(f"machine 127.0.0.1 login me password {SENTINEL}\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("HOME", str(run.folder))
    with process_list() as seen:
        done = run(slug, "  lfs: true")
    assert (done.path / "m.bin").read_bytes() == b"content"
    assert not run.shows()
    assert not showing(seen)


def _git_config(run: Run, ssh: SshServer, options: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's own ssh command, as git has it; ``forge`` is a host of the user's own."""
    hosts = run.folder / "ssh_config"
    hosts.write_text(f"Host forge\n  HostName 127.0.0.1\n  Port {ssh.port}\n  User {ssh.user}\n")
    command = f"ssh -F {hosts} -oUserKnownHostsFile={ssh.known_hosts} {options}"
    config = run.folder / "gitconfig"
    config.write_text(f'[core]\n\tsshCommand = "{command}"\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))


def test_ssh_keys(
    server: GitServer, ssh: SshServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By URL and as Clone buttons write it, with the key that the user's git takes; LFS too."""
    _git_config(run, ssh, f"-oIdentitiesOnly=yes -i {ssh.key}", monkeypatch)
    auth = base64.b64encode(f"me:{SENTINEL}".encode()).decode()
    header = {"Authorization": f"Basic {auth}"}
    href = f"{server.url}/acme/hello.git/info/lfs"
    ssh.lfs.write_text(json.dumps({"href": href, "header": header}))
    address = f"{ssh.user}@127.0.0.1:{ssh.port}"
    by_url = run(f"git+ssh://{address}/acme/hello.git", "  lfs: true")
    assert (by_url.path / "m.bin").read_bytes() == b"content"
    pasted = run(f"{ssh.user}@forge:acme/hello.git")
    assert (pasted.path / "main.py").read_text() == "one\n"
    assert pasted.spec.slug.text == f"git+ssh://{ssh.user}@forge/acme/hello.git"
    assert not run.shows()


def test_ssh_agent(ssh: SshServer, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that only the agent has; without it the step is to add one."""
    _git_config(run, ssh, "-oIdentityFile=none", monkeypatch)
    monkeypatch.setenv("SSH_AUTH_SOCK", "/nonexistent")
    slug = f"git+ssh://{ssh.user}@127.0.0.1:{ssh.port}/acme/hello.git"
    with pytest.raises(SourceError, match="refused the login") as caught:
        run(slug)
    assert "ssh-add" in (caught.value.next_step or "")
    socket = run.folder / "agent"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.DEVNULL)
    try:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
        # It makes its socket a moment before it listens.
        while subprocess.run(
            ["ssh-add", "-q", ssh.key], capture_output=True, check=False
        ).returncode:
            assert agent.poll() is None
            time.sleep(0.02)
        assert run(slug).commit
    finally:
        agent.terminate()
        agent.wait()


def test_an_unknown_ssh_host(ssh: SshServer, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is asked, whatever the user's own command says."""
    ssh.known_hosts.write_text("")
    _git_config(run, ssh, f"-i {ssh.key}", monkeypatch)
    with pytest.raises(SourceError, match="does not know the host's key"):
        run(f"git+ssh://{ssh.user}@127.0.0.1:{ssh.port}/acme/hello.git")


def _rewritten(run: Run, to: str, known: str) -> None:
    """Let the user's git, which has a configuration already, read `known` as `to`."""
    with (run.folder / "gitconfig").open("a") as config:
        config.write(f'[url "{to}"]\n\tinsteadOf = {known}\n')


def test_git_may_be_told_to_take_ssh_in_place_of_https(
    server: GitServer, ssh: SshServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many have it for their forge; nothing asks questions there either."""
    _git_config(run, ssh, f"-oIdentitiesOnly=yes -i {ssh.key}", monkeypatch)
    _rewritten(run, "ssh://forge/", f"{server.url}/")
    done = run(f"git+{server.url}/acme/hello.git")
    assert (done.path / "main.py").read_text() == "one\n"
    ssh.known_hosts.write_text("")
    with pytest.raises(SourceError, match="does not know the host's key"):
        run(f"git+{server.url}/acme/hello.git")


def test_git_may_be_told_to_take_https_with_a_token_in_place_of_ssh(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As CI has it. A token that the server refuses is in none of git's words."""
    issuer = Issuer("Test authority")
    pair = issuer.pair("localhost")
    files = certificate_lab.write(tmp_path / "tls", pair.chain, pair.key)
    authority = tmp_path / "ca.pem"
    authority.write_bytes(issuer.pem)
    monkeypatch.setenv("GIT_SSL_CAINFO", str(authority))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(run.folder / "gitconfig"))
    with GitServer(tmp_path / "tls-server", (files.certificate, files.key)) as server:
        server.repository("acme/hello").commit({"main.py": "one\n"})
        server.token = SENTINEL
        wrong = SENTINEL[:-1] + "w"
        base = server.url.removeprefix("https://")
        _rewritten(run, f"https://me:{SENTINEL}@{base}/", "ssh://git@forge.test/")
        _rewritten(run, f"https://me:{wrong}@{base}/", "ssh://git@two.test/")
        _rewritten(run, f"https://{wrong}@{base}/", "ssh://git@three.test/")
        assert run("git+ssh://git@forge.test/acme/hello.git").commit
        for host in ("two", "three"):
            with pytest.raises(SourceError, match="not found, or private") as caught:
                run(f"git+ssh://git@{host}.test/acme/hello.git")
            assert not showing([repr(caught.value.detail), caught.value.render()], wrong)
        assert not run.shows(wrong)
        assert not run.shows()
        server.refusals = [(429, {"Retry-After": "0"})]
        assert run("git+ssh://git@forge.test/acme/hello.git").commit


def test_our_token_goes_to_its_own_host_alone(
    tmp_path: Path, server: GitServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where git is told to take another host in its place."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(run.folder / "gitconfig"))
    with GitServer(tmp_path / "other") as other:
        other.repository("acme/hello").commit({"main.py": "two\n"})
        _rewritten(run, f"{other.url}/", f"{server.url}/")
        settings = {"IAC_GITHUB_URL": server.url, "GITHUB_TOKEN": SENTINEL}
        assert run(f"git+{server.url}/acme/hello.git", **settings).commit
        assert other.requests
        assert not showing(other.authorizations)
