"""Which Docker provider Terraform gets, and how the embedded one is started."""

from __future__ import annotations

import http.server
import json
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from iac_wrapper.bootstrap import provider
from iac_wrapper.model.provider import PROVIDER_VERSION
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
    with Registry() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setattr(provider, "_DISCOVERY", f"{server.url}/.well-known/terraform.json")
        yield server
        server.shutdown()


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
    folder = stack / ".terraform" / "providers" / provider.ADDRESS / PROVIDER_VERSION
    folder.mkdir(parents=True)
    (folder / "linux_amd64").symlink_to(tmp_path)
    assert provider.is_installed(tmp_path) is False
    (folder / "linux_arm64").mkdir()
    assert provider.is_installed(tmp_path) is True


def test_the_mirror_has_terraforms_layout_and_its_own_text_everywhere(rig: Rig) -> None:
    provider.install(rig.context, "linux_amd64")
    mirror = rig.root / ".iac" / "mirror"
    path = mirror / (
        "registry.terraform.io/kreuzwerker/docker/3.6.2/linux_amd64/terraform-provider-docker_v3.6.2"
    )
    assert path.read_text() == provider.TRAMPOLINE
    assert str(rig.root) not in provider.TRAMPOLINE
    written = (rig.root / ".iac" / "terraformrc").read_text()
    assert f'path    = "{mirror}"' in written


def test_a_quote_in_the_folders_name_stays_inside_the_string(rig: Rig) -> None:
    written = provider.cli_configuration(rig.root / 'a"b')
    assert 'a\\"b' in written


def test_terraforms_link_leads_to_the_project_folder(rig: Rig) -> None:
    """Terraform starts it through a link below .terraform, in any current folder."""
    provider.install(rig.context, "linux_amd64")
    show = '#!/bin/sh\necho "$PYTHONPATH|$KARSTKIT_DOCKER_CLI|$*"\n'
    executable(rig.context.python, show)
    target = provider.executable_path(rig.root / ".iac" / "mirror", "linux_amd64")
    link = rig.root / "elsewhere" / "linux_amd64"
    link.parent.mkdir()
    link.symlink_to(target.parent)
    done = subprocess.run(
        [link / target.name],
        cwd="/",
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{rig.root}|{rig.root}/.iac/bin/docker|-P -m provider\n"


def test_a_new_text_forgets_the_locks_that_hold_the_old_hash(rig: Rig) -> None:
    """Else the cdktf CLI's `terraform init` would refuse the provider."""
    lock = rig.root / "cdktf.out" / "stacks" / "iacnet" / ".terraform.lock.hcl"
    executable(lock, "")
    provider.install(rig.context, "linux_amd64")
    provider.install(rig.context, "linux_amd64")
    assert lock.exists()
    provider.executable_path(rig.context.home.mirror, "linux_amd64").write_text("older")
    provider.install(rig.context, "linux_amd64")
    assert not lock.exists()


def test_a_folder_that_is_not_set_up_says_what_to_do(rig: Rig) -> None:
    provider.install(rig.context, "linux_amd64")
    (rig.context.bin / "docker-provider").unlink()
    target = provider.executable_path(rig.root / ".iac" / "mirror", "linux_amd64")
    done = subprocess.run(
        [target], env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "run iac setup (in a checkout of KarstKit: make bootstrap)" in done.stderr
