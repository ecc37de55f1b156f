"""Which Docker provider Terraform gets, and how the embedded one is started."""

from __future__ import annotations

import http.server
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from iac_wrapper.bootstrap import provider
from iac_wrapper.files.machine_home import PACKAGES
from iac_wrapper.model.provider import PROVIDER_SOURCE, PROVIDER_VERSION
from provider import mirror
from tests.support.running import running
from tests.unit.bootstrap.conftest import Rig, executable


@pytest.mark.parametrize(
    ("setting", "recorded", "available", "chosen"),
    [
        ("auto", None, True, "registry"),
        ("auto", None, False, "embedded"),
        ("auto", "embedded", True, "embedded"),
        ("auto", "registry", True, "registry"),
        ("auto", "registry", False, "embedded"),
        ("embedded", "registry", True, "embedded"),
        ("registry", "embedded", False, "registry"),
    ],
)
def test_the_registry_is_chosen_only_while_it_can_be_had(
    setting: str, recorded: str | None, available: bool, chosen: str
) -> None:
    assert provider.choose(setting, recorded, lambda: available) == chosen


class Registry(http.server.ThreadingHTTPServer):
    """Terraform's registry and the host of its archives; `broken` paths answer with 503."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.broken = ""

    def answer(self, path: str) -> bytes | None:
        found = {
            "/.well-known/terraform.json": {"providers.v1": "/v1/providers/"},
            "/v1/providers/kreuzwerker/docker/3.6.2/download/linux/arm64": {
                "download_url": f"{self.url}/archive.zip"
            },
            "/archive.zip": "archive",
        }
        return json.dumps(found[path]).encode() if path in found and path != self.broken else None


class Answers(http.server.BaseHTTPRequestHandler):
    server: Registry

    def do_GET(self) -> None:
        body = self.server.answer(self.path)
        self.send_response(503 if body is None else 200)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Registry()
    with running(server):
        monkeypatch.setattr(provider, "_DISCOVERY", f"{server.url}/.well-known/terraform.json")
        yield server


def test_a_provider_whose_archive_answers_can_be_downloaded(registry: Registry) -> None:
    assert provider.can_download("linux_arm64") is True
    assert provider.can_download("plan9_amd64") is False


@pytest.mark.parametrize("broken", ["/.well-known/terraform.json", "/archive.zip"])
def test_a_registry_whose_archives_are_out_of_reach_is_of_no_use(
    registry: Registry, broken: str
) -> None:
    registry.broken = broken
    assert provider.can_download("linux_arm64") is False


def test_no_registry_at_all_is_an_answer_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider, "_DISCOVERY", "http://127.0.0.1:1/")
    assert provider.can_download("linux_amd64", timeout=0.2) is False


def test_a_downloaded_provider_is_told_from_a_link_to_the_embedded_one(tmp_path: Path) -> None:
    """Terraform links to a filesystem mirror and unpacks what it downloads."""
    stack = tmp_path / "projects" / "p" / "cdktf.out" / "stacks" / "p"
    folder = stack / ".terraform" / "providers" / mirror.ADDRESS / PROVIDER_VERSION
    folder.mkdir(parents=True)
    (folder / "linux_amd64").symlink_to(tmp_path)
    assert provider.is_installed(tmp_path) is False
    (folder / "linux_arm64").mkdir()
    assert provider.is_installed(tmp_path) is True


def test_it_stands_in_for_the_provider_that_the_stack_asks_for() -> None:
    assert (mirror.SOURCE, mirror.VERSION) == (PROVIDER_SOURCE, PROVIDER_VERSION)


def test_the_embedded_provider_starts_with_this_folders_tools(rig: Rig) -> None:
    """With the interpreter and the docker CLI of the project folder, whatever the current one."""
    provider.install(rig.context, "linux_amd64")
    executable(rig.context.python, '#!/bin/sh\necho "$KARSTKIT_DOCKER_CLI|$*"\n')
    folder = rig.root / ".iac" / "mirror"
    target = mirror.executable_path(folder, "linux_amd64")
    assert _start(target) == (0, f"{rig.root}/.iac/bin/docker|-E -P -m provider\n", "")
    launch = folder / "launch"
    assert subprocess.run([launch, "--check"], check=True, capture_output=True).stdout == b""
    rig.context.python.unlink()
    assert subprocess.run([launch, "--check"], check=False, capture_output=True).returncode == 1
    code, _, said = _start(target)
    assert (code, said.endswith(f"run make bootstrap in {PACKAGES}\n")) == (1, True)
    assert f'path    = "{folder}"' in (rig.root / ".iac" / "terraformrc").read_text()


def _start(program: Path) -> tuple[int, str, str]:
    done = subprocess.run(
        [program],
        cwd="/",
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_a_new_text_forgets_the_locks_that_hold_the_old_hash(rig: Rig) -> None:
    """Else the cdktf CLI's `terraform init` would refuse the provider."""
    lock = rig.root / "cdktf.out" / "stacks" / "iacnet" / ".terraform.lock.hcl"
    executable(lock, "")
    provider.install(rig.context, "linux_amd64")
    provider.install(rig.context, "linux_amd64")
    assert lock.exists()
    mirror.executable_path(rig.context.home.mirror, "linux_amd64").write_text("older")
    provider.install(rig.context, "linux_amd64")
    assert not lock.exists()
