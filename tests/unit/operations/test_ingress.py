"""The ingress's files on disk, challenges, and ports that somebody else has."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from iac_wrapper.errors import ConfigError
from iac_wrapper.files import lock_file
from iac_wrapper.model.exposure import LOCAL, Exposure, Exposures
from iac_wrapper.model.intent import Selection
from iac_wrapper.model.lock import LockFile
from iac_wrapper.model.options import Options
from iac_wrapper.operations import ingress
from iac_wrapper.operations.workspace import Workspace
from iac_wrapper.settings import Settings
from iac_wrapper.settings.ingress import ingress_of
from tests.support.deployed import app, deployed
from tests.support.ingress_lab import certificate

PUBLIC = (Exposure("app.example.com"), Exposure("b.example.com", tls="off"))


def deploy(workspace: Workspace, expose: Exposures) -> LockFile:
    """The record of a deploy of one service."""
    web = replace(app("web"), options=Options(expose=expose))
    lock = replace(deployed(workspace.layout, web), ingress_port=15080)
    state = {"outputs": {lock_file.LOCK_OUTPUT: {"value": lock_file.dump(lock)}}}
    workspace.layout.state("demo").write_text(json.dumps(state))
    return lock


def files(workspace: Workspace) -> dict[str, Any]:
    """What lies in the ingress's folder."""
    folder = workspace.layout.ingress("demo")
    return {path.name: json.loads(path.read_text()) for path in folder.glob("*.json")}


def test_what_is_lost_or_left_is_put_right_and_nothing_else(workspace: Workspace) -> None:
    """A file that is right is not touched: Envoy would look at it again."""
    deploy(workspace, LOCAL)
    assert ingress.is_stale(workspace)
    assert ingress.refresh(workspace)
    folder = workspace.layout.ingress("demo")
    assert set(files(workspace)) == {"listeners.json", "routes-local.json"}
    (folder / "routes-http.json").write_text("{}")
    (folder / "routes-local.json").unlink()
    before = (folder / "listeners.json").stat()
    assert ingress.is_stale(workspace)
    assert ingress.refresh(workspace)
    assert set(files(workspace)) == {"listeners.json", "routes-local.json"}
    assert (folder / "listeners.json").stat() == before
    assert not ingress.refresh(workspace)
    assert (folder.stat().st_mode & 0o777, before.st_mode & 0o777) == (0o755, 0o644)


def test_a_certificate_is_served_as_soon_as_it_is_current(workspace: Workspace) -> None:
    """By the name that its file has in the container; until then its host has no HTTPS listener."""
    deploy(workspace, PUBLIC)
    ingress.refresh(workspace)
    assert workspace.layout.public_certificates("demo").stat().st_mode & 0o777 == 0o755
    assert [each["name"] for each in files(workspace)["listeners.json"]["resources"]] == ["http"]
    public = workspace.layout.public_certificates("demo")
    certificate(public, "app.example.com")
    (public / "app.example.com" / "1" / "source").write_text("files")
    (public / "app.example.com" / "current").symlink_to("1")
    assert ingress.refresh(workspace)
    text = json.dumps(files(workspace)["listeners.json"])
    assert "/etc/iac/public/app.example.com/1/cert.pem" in text
    assert str(public) not in text


def test_challenges_come_and_go(workspace: Workspace) -> None:
    """Whatever else writes the files meanwhile; without an ingress nobody could answer."""
    deploy(workspace, PUBLIC)
    ingress.refresh(workspace)
    ingress.publish(workspace, "a", "a.key")
    ingress.publish(workspace, "b", "b.key")
    ingress.refresh(workspace)
    asked = [
        route["match"].get("path")
        for host in files(workspace)["routes-http.json"]["resources"][0]["virtual_hosts"]
        for route in host["routes"]
    ]
    assert asked.count("/.well-known/acme-challenge/b") == 2
    for token in ("a", "b"):
        ingress.withdraw(workspace, token)
    assert "acme-challenge" not in str(files(workspace)["routes-http.json"])
    deploy(workspace, ())
    with pytest.raises(ConfigError, match="no ingress"):
        ingress.publish(workspace, "a", "a.key")


def test_terraform_writes_what_it_planned_and_nothing_else(workspace: Workspace) -> None:
    """The command of the stack, from Terraform's folder, with relative paths."""
    lock = deploy(workspace, LOCAL)
    root = workspace.layout.root
    lock_file.save_lock(lock, root / "repos.lock.json")
    wanted = ingress_of(Settings(), lock)
    assert wanted
    (root / "out").mkdir()

    def run(digest: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-P", "-m", "iac_wrapper.operations.ingress_files"]
        return subprocess.run(
            [*argv, "..", "../repos.lock.json", digest],
            cwd=root / "out",
            env={name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            capture_output=True,
            text=True,
            check=False,
        )

    refused = run("0" * 16)
    assert refused.returncode == 1
    assert "the routes are not those that were planned" in refused.stderr
    assert not files(workspace)
    assert run(wanted.digest).returncode == 0
    assert not ingress.refresh(workspace)


def test_a_port_in_use_names_both(workspace: Workspace, tmp_path: Path) -> None:
    """What wants it and what has it; a port that nothing needs is not looked at."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        wanted = replace(workspace, settings=Settings(IAC_HTTPS_PORT=port, IAC_HTTP_PORT="1"))
        kept = replace(app("web"), options=Options(expose=PUBLIC))
        with pytest.raises(ConfigError, match=f"port {port} of this machine is in use") as caught:
            ingress.check_ports(wanted, Selection((), (kept,), None, None))
        assert "a free one for app.example.com (web)" in (caught.value.expected or "")
        assert f"(process {os.getpid()})" in (caught.value.found or "")
        plain = replace(kept, options=Options(expose=PUBLIC[1:]))
        ingress.check_ports(wanted, Selection((), (plain,), None, None))
        local = replace(kept, options=Options(expose=LOCAL))
        ingress.check_ports(wanted, Selection((), (local,), None, None))
