from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from iac_wrapper.adapters.docker_endpoint import endpoint


def test_docker_host_wins(tmp_path: Path) -> None:
    """The variable beats a chosen context."""
    (tmp_path / "config.json").write_text('{"currentContext": "other"}')
    environ = {"DOCKER_HOST": "tcp://h:1", "DOCKER_CONFIG": str(tmp_path)}
    assert endpoint(environ) == "tcp://h:1"


def test_no_choice_is_the_default_socket(tmp_path: Path) -> None:
    """Without configuration, with a broken one, or with the context `default`: None."""
    environ = {"DOCKER_CONFIG": str(tmp_path)}
    assert endpoint(environ) is None
    for text in ("{", "[]", '{"currentContext": "default"}', '{"currentContext": "gone"}'):
        (tmp_path / "config.json").write_text(text)
        assert endpoint(environ) is None


@pytest.mark.skipif(not shutil.which("docker"), reason="no docker CLI")
def test_a_context_of_the_real_cli_is_found(tmp_path: Path) -> None:
    """A context made and chosen with the docker CLI gives its address."""
    environ = {"DOCKER_CONFIG": str(tmp_path), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    host = "unix:///run/user/1000/docker.sock"
    cli = str(shutil.which("docker"))
    for arguments in (["create", "mine", "--docker", f"host={host}"], ["use", "mine"]):
        subprocess.run([cli, "context", *arguments], env=environ, check=True, capture_output=True)
    assert json.loads((tmp_path / "config.json").read_text())["currentContext"] == "mine"
    assert endpoint(environ) == host
    assert endpoint({**environ, "DOCKER_CONTEXT": "none"}) is None
