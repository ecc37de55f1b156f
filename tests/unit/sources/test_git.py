from __future__ import annotations

import socket
import tarfile
from pathlib import Path

import pytest

from iac_wrapper.adapters import process
from iac_wrapper.adapters.process import Command, CommandResult
from iac_wrapper.errors import CommandError, SourceError
from iac_wrapper.model.remote import Remote, remote_of
from iac_wrapper.model.slug import Slug
from iac_wrapper.settings import Settings
from iac_wrapper.sources import git, working_tree
from iac_wrapper.sources.git_errors import explain
from tests.support.git_server import GitServer, Repository


@pytest.fixture
def repository(server: GitServer) -> Repository:
    made = server.repository("acme/hello")
    made.commit({"main.py": "one\n", "hidden": "x", ".gitattributes": "hidden export-ignore\n"})
    return made


def _remote(server: GitServer, name: str = "acme/hello", token: str = "") -> Remote:
    settings = Settings(IAC_GITHUB_URL=server.url, GITHUB_TOKEN=token)
    return remote_of(Slug.parse(f"gh:{name}"), settings.hosts)


def _names(tar: Path) -> list[str]:
    with tarfile.open(tar) as opened:
        return sorted(opened.getnames())


def test_ls_remote(server: GitServer, repository: Repository) -> None:
    """Branches, peeled tags and the default branch come from a real server."""
    first = repository.git("rev-parse", "HEAD")
    repository.tag("v1", annotated=True)
    repository.branch("feature/x")
    second = repository.commit({"main.py": "two\n"})
    repository.switch("main")
    refs = git.ls_remote(_remote(server))
    assert refs.resolve(None) == (first, "main")
    assert refs.resolve("v1") == (first, "v1")
    assert refs.resolve("feature/x") == (second, "feature/x")


def test_export_commit(server: GitServer, repository: Repository, tmp_path: Path) -> None:
    """A commit comes out whole, however old, export-ignore or not; nothing else is left behind."""
    first = repository.git("rev-parse", "HEAD")
    repository.commit({"main.py": "two\n"})
    git.export_commit(_remote(server), first, tmp_path / "a.tar")
    assert _names(tmp_path / "a.tar") == [".gitattributes", "hidden", "main.py"]
    with tarfile.open(tmp_path / "a.tar") as tar:
        content = tar.extractfile("main.py")
        assert content is not None
        assert content.read() == b"one\n"
        assert tar.pax_headers["comment"] == first
    assert not list(tmp_path.glob(".tmp-*"))


def test_export_when_the_server_refuses_a_sha(
    server: GitServer, repository: Repository, tmp_path: Path
) -> None:
    """A server that hands out tips only is asked for all refs instead."""
    first = repository.git("rev-parse", "HEAD")
    repository.commit({"main.py": "two\n"})
    server.allow_any_sha = False
    git.export_commit(_remote(server), first, tmp_path / "a.tar")
    assert "main.py" in _names(tmp_path / "a.tar")


@pytest.mark.parametrize("free", [True, False])
def test_no_such_commit(
    server: GitServer, repository: Repository, tmp_path: Path, *, free: bool
) -> None:
    """A SHA the repository does not have is a SourceError."""
    server.allow_any_sha = free
    with pytest.raises(SourceError, match="no such commit") as caught:
        git.export_commit(_remote(server), "d" * 40, tmp_path / "a.tar")
    assert "iac lock --update NAME" in (caught.value.next_step or "")


def test_find_commits(server: GitServer, repository: Repository, tmp_path: Path) -> None:
    """A short SHA deep in the history is found; an unknown one, or a file's, is not."""
    first = repository.git("rev-parse", "HEAD")
    repository.commit({"main.py": "two\n"})
    assert git.find_commits(_remote(server), first[:10], tmp_path / "scratch") == [first]
    blob = repository.git("rev-parse", "HEAD:main.py")
    for short in ("0123456", blob[:10]):
        assert git.find_commits(_remote(server), short, tmp_path / "scratch") == []


@pytest.mark.parametrize("free", [True, False])
def test_list_commit(
    server: GitServer, repository: Repository, tmp_path: Path, *, free: bool
) -> None:
    """Names, modes and SHAs of a commit are known without its files, from any server."""
    first = repository.git("rev-parse", "HEAD")
    repository.commit({"main.py": "two\n"})
    server.allow_any_sha = free
    listed = git.list_commit(_remote(server), first, tmp_path)
    assert sorted(listed) == [".gitattributes", "hidden", "main.py"]
    assert listed["main.py"] == ("100644", repository.git("rev-parse", f"{first}:main.py"))


def test_token_travels_in_the_environment(
    server: GitServer, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token opens a private repository and is on no command line."""
    server.token = "sentinel-token"
    commands: list[Command] = []
    run = process.run

    def spy(command: Command, *, timeout: float | None = None) -> CommandResult:
        commands.append(command)
        return run(command, timeout=timeout)

    monkeypatch.setattr(process, "run", spy)
    assert git.ls_remote(_remote(server, token="sentinel-token")).commits
    for wrong in ("", "sentinel-other"):
        with pytest.raises(SourceError, match="GITHUB_TOKEN") as caught:
            git.ls_remote(_remote(server, token=wrong))
        assert "sentinel" not in str(caught.value)
    words = " ".join(word for command in commands for word in command.argv)
    assert "Authorization" not in words
    assert "sentinel" not in words


def test_token_leaves_the_users_own_variables_in_force(
    server: GitServer, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GIT_CONFIG_COUNT of the user (here: another name for a repository) holds with a token too."""
    del repository
    server.token = "sentinel-token"
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", f"url.{server.url}/acme/hello.insteadOf")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", f"{server.url}/acme/alias")
    assert git.ls_remote(_remote(server, "acme/alias", "sentinel-token")).commits


def test_redirects(server: GitServer, repository: Repository, tmp_path: Path) -> None:
    """A rename on the same origin is followed; to another origin nothing is sent at all."""
    server.redirects = {"/acme/old.git": "/acme/hello.git"}
    remote = _remote(server, "acme/old", "sentinel-token")
    commit = git.ls_remote(remote).commits["HEAD"]
    git.export_commit(remote, commit, tmp_path / "a.tar")
    with GitServer(tmp_path / "other") as other:
        other.repository("acme/hello").commit({"a": "x"})
        server.redirects = {"/acme/hello": f"{other.url}/acme/hello"}
        for token in ("", "sentinel-token"):
            with pytest.raises(SourceError, match="has moved"):
                git.ls_remote(_remote(server, token=token))
        assert other.requests == []


def test_file_url(tmp_path: Path) -> None:
    """git+file:// reads a repository on this machine."""
    made = Repository.create(tmp_path / "r")
    sha = made.commit({"a": "x"})
    remote = remote_of(Slug.parse(f"git+file://{tmp_path}/r"), Settings().hosts)
    assert git.ls_remote(remote).resolve("main") == (sha, "main")


def test_commits_between_are_counted_without_a_fetch(tmp_path: Path) -> None:
    """In a repository on this machine; not for a step back, a commit that it lacks, or a remote."""
    made = Repository.create(tmp_path / "r")
    first, *_, last = [made.commit({"a": text}) for text in "xyz"]
    remote = remote_of(Slug.parse(f"git+file://{tmp_path}/r"), Settings().hosts)
    assert git.count_commits(remote, first, last) == 2
    assert git.count_commits(remote, last, first) is None
    assert git.count_commits(remote, "0" * 40, last) is None
    assert git.count_commits(Remote("https://git.invalid/r"), first, last) is None


@pytest.mark.parametrize("target", ["ext::touch FOLDER/ran ", "file://FOLDER/"])
def test_other_protocols_are_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    """Even a rewrite in the user's configuration cannot lead to `ext::` or another scheme."""
    config = tmp_path / "gitconfig"
    config.write_text(
        '[protocol "ext"]\n\tallow = always\n'
        f'[url "{target.replace("FOLDER", str(tmp_path))}"]\n\tinsteadOf = https://h.test/\n'
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    with pytest.raises(SourceError, match="a kind of address that is not allowed"):
        git.ls_remote(Remote("https://h.test/x"))
    assert not (tmp_path / "ran").exists()


def test_no_filter_and_no_eol_change(
    server: GitServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user's smudge filters and autocrlf change nothing in what is exported."""
    config = tmp_path / "gitconfig"
    config.write_text(
        f'[core]\n\tautocrlf = true\n[filter "evil"]\n\tsmudge = touch {tmp_path}/ran; cat\n'
    )
    sha = server.repository("a/b").commit({".gitattributes": "* filter=evil\n", "f": "x\ny\n"})
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    git.export_commit(_remote(server, "a/b"), sha, tmp_path / "a.tar")
    with tarfile.open(tmp_path / "a.tar") as tar:
        content = tar.extractfile("f")
        assert content is not None
        assert content.read() == b"x\ny\n"
    assert not (tmp_path / "ran").exists()


def test_enclosing_git_has_no_say(
    server: GitServer, repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run from a git hook (GIT_DIR set), the commands still work on their own repositories."""
    other = Repository.create(tmp_path / "hooked")
    monkeypatch.setenv("GIT_DIR", str(other.path / ".git"))
    sha = git.ls_remote(_remote(server)).commits["HEAD"]
    git.export_commit(_remote(server), sha, tmp_path / "a.tar")
    assert "main.py" in _names(tmp_path / "a.tar")
    assert working_tree.read_working_tree(tmp_path, ()) is None


def test_empty_and_missing(server: GitServer, tmp_path: Path) -> None:
    """An empty, an unknown and a wrong address each have their own sentence."""
    server.repository("acme/empty")
    with pytest.raises(SourceError, match="is empty"):
        git.ls_remote(_remote(server, "acme/empty"))
    with pytest.raises(SourceError, match="not found, or private"):
        git.ls_remote(_remote(server, "acme/nope"))
    with pytest.raises(SourceError, match="no git repository"):
        git.ls_remote(Remote(f"file://{tmp_path}/nope"))


def test_nobody_listens() -> None:
    """A refused connection may be tried again."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/a/b"
        with pytest.raises(SourceError, match="does not answer") as caught:
            git.ls_remote(Remote(url))
    assert caught.value.retryable


def test_silent_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that never answers ends at the time limit, and may be tried again."""
    monkeypatch.setattr(git, "LIST_TIMEOUT", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/a/b"
        with pytest.raises(SourceError, match="did not end") as caught:
            git.ls_remote(Remote(url))
    assert caught.value.retryable


def test_git_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without git the error is about the missing program."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CommandError, match="cannot start git"):
        git.ls_remote(Remote("https://h.test/x"))


@pytest.mark.parametrize(
    ("stderr", "words", "retryable"),
    [
        ("fatal: Could not resolve host: h.test", "resolved", True),
        ("ssh: Could not resolve hostname h.test: x", "resolved", True),
        ("fatal: SSL certificate problem: unable to get local issuer", "GIT_SSL_CAINFO", False),
        ("server certificate verification failed. CAfile: none", "SSL_CERT_FILE", False),
        ("gnutls_handshake() failed: Handshake failed", "SSL_CERT_FILE", False),
        ("Host key verification failed.\nfatal: Could not read from remote", "host's key", False),
        ("git@h: Permission denied (publickey).", "ssh-add", False),
        ("The requested URL returned error: 404", "private", False),
        ("remote: Repository not found.\nfatal: repository 'x' not found", "private", False),
        ("fatal: Authentication failed for 'x'", "private", False),
        ("The requested URL returned error: 502", "busy", True),
        ("The requested URL returned error: 429", "busy", True),
        ("fatal: unable to access: Operation timed out", "does not answer", True),
        ("error: RPC failed; curl 28 Operation too slow", "stopped sending", True),
        ("fatal: the remote end hung up unexpectedly", "broke off", True),
        ("fatal: early EOF\nfatal: fetch-pack: invalid index-pack output", "broke off", True),
        ("fatal: pack is corrupted (SHA1 mismatch)\nfatal: index-pack", "is damaged", True),
        ("kex_exchange_identification: Connection closed by remote host", "broke off", True),
        ("fatal: detected dubious ownership in repository at '/x'", "safe.directory", False),
        ("fatal: something new", "something new", False),
    ],
)
def test_words_of_git(stderr: str, words: str, *, retryable: bool) -> None:
    """Git's own words become one sentence with a next step."""
    done = CommandResult(Command(("git",)), 128, "", stderr)
    error = explain(done, Remote("https://h.test/x"))
    assert words in str(error)
    assert error.retryable is retryable
