"""A git host on a loopback port: smart HTTP and archives in the forms of the three public hosts.

Real git on both ends (`git http-backend`, `git archive`). Needs no pytest::

    with GitServer(folder) as server:
        repository = server.repository("acme/hello")
        sha = repository.commit({"main.py": "print('hello')\\n"})
        # IAC_GITHUB_URL=server.url, slug gh:acme/hello

or ``python -m tests.support.git_server FOLDER`` to serve the repositories below FOLDER by hand.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.support.running import Running

_ARCHIVES = (
    r"/(?P<repo>.+)/-/archive/(?P<sha>[0-9a-f]{40})/[^/]+\.tar\.gz",
    r"/(?P<repo>[^/]+/[^/]+)/archive/(?P<sha>[0-9a-f]{40})\.tar\.gz",
    r"/(?P<repo>[^/]+/[^/]+)/get/(?P<sha>[0-9a-f]{40})\.tar\.gz",
)
_GIT = r"/(?P<repo>.+?)(?:\.git)?/(?P<rest>info/refs|git-upload-pack)"

# No configuration of the machine may change what a test commits.
_ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_AUTHOR_NAME": "Test",
    "GIT_AUTHOR_EMAIL": "test@example.org",
    "GIT_COMMITTER_NAME": "Test",
    "GIT_COMMITTER_EMAIL": "test@example.org",
    "GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z",
    "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z",
}


@dataclass(frozen=True)
class Executable:
    """A file with the executable bit."""

    content: str


@dataclass(frozen=True)
class Link:
    """A symbolic link."""

    target: str


Content = str | bytes | Executable | Link | None
"""What a path becomes in a commit; None removes it."""


class Repository:
    """A repository with a working tree at `path`, made by `Repository.create`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, path: Path, *, branch: str = "main") -> Repository:
        """An empty repository whose default branch is `branch`."""
        path.mkdir(parents=True)
        repository = cls(path)
        repository.git("init", "--quiet", f"--initial-branch={branch}")
        return repository

    def commit(self, files: Mapping[str, Content], message: str = "change") -> str:
        """Write `files`, commit everything on the current branch, return the SHA."""
        for name, content in files.items():
            self._write(self.path / name, content)
        self.git("add", "--all", "--force")
        self.git("commit", "--quiet", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def branch(self, name: str) -> None:
        """Make a branch at the current commit and go on there."""
        self.git("checkout", "--quiet", "-b", name)

    def switch(self, name: str) -> None:
        """Go on at an existing branch."""
        self.git("checkout", "--quiet", name)

    def tag(self, name: str, *, annotated: bool = False) -> None:
        """Tag the current commit."""
        self.git("tag", *(("-a", "-m", name) if annotated else ()), name)

    def git(self, *arguments: str) -> str:
        """Run git here and return what it prints."""
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.path,
            env=_ENVIRONMENT,
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    def _write(self, path: Path, content: Content) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        if isinstance(content, Link):
            path.symlink_to(content.target)
        elif isinstance(content, Executable):
            path.write_text(content.content, encoding="utf-8")
            path.chmod(0o755)
        elif content is not None:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())


class GitServer(Running):
    """Serves the repositories below `folder` while the context is open.

    Switches, to be set at any time: `archives` (False: 404 for every archive), `archive_body`
    (bytes to send in place of every archive), `token` (demanded as the password of Basic
    authorization or as PRIVATE-TOKEN), `redirects` (path prefix -> new URL prefix),
    `allow_any_sha` (False: only commits that a ref points at may be fetched; protocol v0),
    `refusals` (answers that the next requests get, whatever they ask for), `cut` (bytes after which
    the next pack ends), `delay` (seconds before each answer), `lfs_place` and `lfs_headers` (of the
    addresses of LFS content).
    `requests` lists ``METHOD path`` of everything asked; `url` is the base without a final slash.
    With `tls` (a certificate for localhost, and its key) it is https.
    """

    def __init__(self, folder: Path, tls: tuple[Path, Path] | None = None) -> None:
        self.folder = folder
        self.archives = True
        self.archive_body: bytes | None = None
        self.token: str | None = None
        self.redirects: dict[str, str] = {}
        self.allow_any_sha = True
        self.refusals: list[tuple[int, dict[str, str]]] = []
        self.cut: int | None = None
        self.delay = 0.0
        self.lfs: dict[str, bytes] = {}
        self.lfs_headers: dict[str, str] = {}
        self.lfs_place = ""
        self.requests: list[str] = []
        self.authorizations: list[str] = []
        self._lock = Lock()
        http = _HttpServer(("127.0.0.1", 0), _Handler)
        http.owner = self
        super().__init__(http)
        self.url = f"http://127.0.0.1:{http.server_address[1]}"
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            http.socket = context.wrap_socket(http.socket, server_side=True)
            self.url = f"https://localhost:{http.server_address[1]}"

    def repository(self, name: str, *, branch: str = "main") -> Repository:
        """Make ``owner/repo`` (or ``group/subgroup/repo``)."""
        return Repository.create(self.folder / name, branch=branch)

    def lfs_pointer(self, content: bytes) -> str:
        """Keep `content` as a Git LFS object and return its pointer."""
        oid = hashlib.sha256(content).hexdigest()
        self.lfs[oid] = content
        size = len(content)
        return f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {size}\n"

    def count(self, pattern: str) -> int:
        """How many requests match a regular expression, such as ``info/refs``."""
        return sum(bool(re.search(pattern, line)) for line in self.requests)

    def note(self, line: str, authorization: str) -> None:
        """Called by the handler for each request."""
        with self._lock:
            self.requests.append(line)
            self.authorizations.append(authorization)


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    owner: GitServer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Say nothing."""

    @property
    def _owner(self) -> GitServer:
        server = self.server
        assert isinstance(server, _HttpServer)
        return server.owner

    def _answer(self) -> None:
        authorization = self.headers["Authorization"] or self.headers["PRIVATE-TOKEN"] or ""
        body = self._body()
        self._owner.note(f"{self.command} {self.path}", authorization)
        time.sleep(self._owner.delay)
        if self._owner.refusals:
            self._send(*self._owner.refusals.pop(0))
            return
        for prefix, target in self._owner.redirects.items():
            if self.path.startswith(prefix):
                self._send(302, {"Location": target + self.path.removeprefix(prefix)})
                return
        path = unquote(urlsplit(self.path).path)
        archive = next((m for p in _ARCHIVES if (m := re.fullmatch(p, path))), None)
        if path.endswith("/info/lfs/objects/batch"):
            self._lfs_batch(body)
        elif path.startswith("/lfs-content/"):
            self._lfs_content(path.rpartition("/")[2])
        elif archive:
            self._archive(archive["repo"], archive["sha"])
        elif match := re.fullmatch(_GIT, path):
            self._git(match["repo"], match["rest"], body)
        else:
            self._send(404)

    def _archive(self, name: str, sha: str) -> None:
        repository = self._owner.folder / name
        if not self._owner.archives or not self._admitted() or not repository.is_dir():
            self._send(404)
            return
        body = self._owner.archive_body
        if body is None:
            prefix = f"{repository.name}-{sha}/"
            done = subprocess.run(
                ["git", "archive", "--format=tar.gz", f"--prefix={prefix}", sha],
                cwd=repository,
                env=_ENVIRONMENT,
                capture_output=True,
                check=False,
            )
            if done.returncode:
                self._send(404)
                return
            body = done.stdout
        self._send(200, {"Content-Type": "application/x-gzip"}, body)

    def _git(self, name: str, rest: str, body: bytes) -> None:
        if not self._admitted() or not (self._owner.folder / name).is_dir():
            # As GitHub does: a repository one may not see looks like one that is not there.
            self._send(401, {"WWW-Authenticate": 'Basic realm="git"'})
            return
        done = subprocess.run(
            ["git", "http-backend"],
            input=body,
            env=self._cgi(f"/{name}/.git/{rest}", len(body)),
            capture_output=True,
            check=False,
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if line)
        status = int(headers.pop("Status", "200").split()[0])
        cut, packed = self._owner.cut, rest == "git-upload-pack" and b"PACK" in content
        if packed and cut is not None:
            self._owner.cut = None
            content = content[: content.index(b"PACK") + cut]
        self._send(status, headers, content)

    def _lfs_batch(self, body: bytes) -> None:
        if not self._admitted():
            self._send(401)
            return
        place = self._owner.lfs_place or self._owner.url
        found = []
        for one in json.loads(body)["objects"]:
            answer: dict[str, Any] = dict(one)
            if one["oid"] in self._owner.lfs:
                action: dict[str, Any] = {"href": f"{place}/lfs-content/{one['oid']}"}
                action |= {"header": self._owner.lfs_headers} if self._owner.lfs_headers else {}
                answer["actions"] = {"download": action}
            else:
                answer["error"] = {"code": 404, "message": "Object does not exist"}
            found.append(answer)
        text = json.dumps({"transfer": "basic", "objects": found}).encode()
        self._send(200, {"Content-Type": "application/vnd.git-lfs+json"}, text)

    def _lfs_content(self, oid: str) -> None:
        if not self._admitted() or oid not in self._owner.lfs:
            self._send(404)
        else:
            self._send(200, {}, self._owner.lfs[oid])

    def _cgi(self, path: str, length: int) -> dict[str, str]:
        free = self._owner.allow_any_sha
        settings = {"uploadpack.allowAnySHA1InWant": "true", "uploadpack.allowFilter": "true"}
        settings = settings if free else {"protocol.version": "0"}
        config: dict[str, str] = {"GIT_CONFIG_COUNT": str(len(settings))}
        for index, (key, value) in enumerate(settings.items()):
            config |= {f"GIT_CONFIG_KEY_{index}": key, f"GIT_CONFIG_VALUE_{index}": value}
        return {
            **_ENVIRONMENT,
            **config,
            "GIT_PROJECT_ROOT": str(self._owner.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": urlsplit(self.path).query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(length),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", "") if free else "",
            "REMOTE_ADDR": "127.0.0.1",
        }

    def _admitted(self) -> bool:
        token = self._owner.token
        if token is None or self.headers.get("PRIVATE-TOKEN") == token:
            return True
        kind, _, value = self.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "basic":
            return False
        return base64.b64decode(value).decode().partition(":")[2] == token

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _send(
        self, status: int, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)


if __name__ == "__main__":
    with GitServer(Path(sys.argv[1]).resolve()) as running:
        sys.stdout.write(f"IAC_GITHUB_URL={running.url}\n")
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()
