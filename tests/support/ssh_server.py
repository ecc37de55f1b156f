"""A git host over ssh on a loopback port: Debian's sshd, and git behind a forced command.

It answers as forges do: the login says nothing but which key it is, and the path is relative to
where the repositories are.
"""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

_FORGE = """\
import os, shlex, subprocess, sys
asked = shlex.split(os.environ.get("SSH_ORIGINAL_COMMAND", ""))
if len(asked) < 2:
    sys.exit("no shell here")
if asked[0] == "git-lfs-authenticate":
    print(open(LFS).read())
    sys.exit()
name = asked[1].lstrip("/").removesuffix(".git")
sys.exit(subprocess.call([asked[0], os.path.join(ROOT, name)]))
"""


@dataclass(frozen=True)
class SshServer:
    """`port` on 127.0.0.1; `key` opens it; `known_hosts` has its own key; `lfs` is a file with what
    ``git-lfs-authenticate`` answers; `user` logs in."""

    port: int
    user: str
    key: Path
    known_hosts: Path
    lfs: Path


@contextmanager
def ssh_server(folder: Path, repositories: Path) -> Iterator[SshServer]:
    """Serves the repositories below `repositories`; skips the test where there is no sshd
    (.ci/run installs it)."""
    sshd = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    if not sshd:
        pytest.skip("needs Debian's package openssh-server")
    folder.mkdir(parents=True)
    for name in ("host", "user"):
        made = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name))
        subprocess.run(made, check=True)
    forge = folder / "forge.py"
    places = f"ROOT = {str(repositories)!r}\nLFS = {str(folder / 'lfs.json')!r}\n"
    forge.write_text(places + _FORGE, encoding="utf-8")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = folder / "sshd_config"
    config.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nPidFile none\nUsePAM no\n"
        f"AuthorizedKeysFile {folder}/user.pub\nStrictModes no\nPasswordAuthentication no\n"
        "KbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n"
        f"ForceCommand {shlex.join([sys.executable, str(forge)])}\n",
        encoding="utf-8",
    )
    host_key = (folder / "host.pub").read_text(encoding="utf-8")
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {host_key}", encoding="utf-8")
    user = subprocess.run(["id", "-un"], check=True, capture_output=True, text=True).stdout.strip()
    program = subprocess.Popen([sshd, "-D", "-e", "-f", str(config)], stderr=subprocess.DEVNULL)
    try:
        _wait(port, program)
        yield SshServer(port, user, folder / "user", folder / "known_hosts", folder / "lfs.json")
    finally:
        program.terminate()
        program.wait()


def _wait(port: int, program: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and program.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise RuntimeError(f"sshd does not listen (exit code {program.poll()})")
