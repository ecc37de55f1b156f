"""Which Docker provider Terraform gets, and how the embedded one is started."""

from __future__ import annotations

import http.server
import subprocess
import threading

import pytest

from iac_wrapper.bootstrap import provider
from tests.unit.bootstrap.conftest import Rig, executable


@pytest.mark.parametrize(
    ("setting", "recorded", "answers", "chosen"),
    [
        ("auto", None, True, "registry"),
        ("auto", None, False, "embedded"),
        ("auto", "embedded", True, "embedded"),
        ("auto", "registry", False, "registry"),
        ("embedded", "registry", True, "embedded"),
        ("registry", "embedded", False, "registry"),
    ],
)
def test_a_choice_once_made_stays_unless_told_otherwise(
    setting: str, recorded: str | None, answers: bool, chosen: str
) -> None:
    assert provider.choose(setting, recorded, lambda: answers) == chosen


def test_the_registry_is_asked_for_its_discovery(monkeypatch: pytest.MonkeyPatch) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/ok" else 503)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        base = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setattr(provider, "_DISCOVERY", f"{base}/ok")
        assert provider.registry_answers() is True
        monkeypatch.setattr(provider, "_DISCOVERY", f"{base}/down")
        assert provider.registry_answers() is False
        server.shutdown()
    assert provider.registry_answers() is False


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


def test_without_a_virtual_environment_it_says_what_to_do(rig: Rig) -> None:
    provider.install(rig.context, "linux_amd64")
    target = provider.executable_path(rig.root / ".iac" / "mirror", "linux_amd64")
    done = subprocess.run(
        [target], env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "run make bootstrap there" in done.stderr
