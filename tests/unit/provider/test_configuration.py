"""The provider block, the environment, the defaults, in that order."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from provider.configuration import (
    DEFAULT_HOST,
    Configuration,
    cli_candidates,
    cli_environment,
    log_directory,
    registry_key,
    resolve,
    validate,
)
from provider.problems import ProviderError
from provider.values import UNKNOWN


def test_host_and_certificates() -> None:
    """Block over environment over default; certificates only where TLS is asked for."""
    assert resolve({}, {}) == Configuration(DEFAULT_HOST, None, {}, True)
    env = {"DOCKER_HOST": "tcp://h:1", "DOCKER_CERT_PATH": "/c"}
    assert resolve({}, env).host == "tcp://h:1"
    assert resolve({}, env).certificates is None
    assert resolve({}, {**env, "DOCKER_TLS_VERIFY": "1"}).certificates == Path("/c")
    chosen = resolve(
        {"host": "unix:///s", "cert_path": "/d", "disable_docker_daemon_check": True}, env
    )
    assert (chosen.host, chosen.certificates, chosen.ping) == ("unix:///s", Path("/d"), False)


@pytest.mark.parametrize(
    ("config", "path"),
    [
        ({"host": "ssh://user@h"}, ("host",)),
        ({"context": "other"}, ("context",)),
        ({"ssh_opts": ["-v"]}, ("ssh_opts",)),
        ({"ca_material": "x"}, ("ca_material",)),
        (
            {"registry_auth": [{"address": "a", "config_file_content": "{}"}]},
            ("registry_auth", "config_file_content"),
        ),
    ],
)
def test_refused_with_the_attributes_path(config: dict[str, Any], path: tuple[str, ...]) -> None:
    """Clearly, instead of being ignored."""
    assert [problem.path for problem in validate(config)] == [path]


def test_unknowns_pass() -> None:
    """They are looked at when the provider is configured."""
    assert validate({"host": UNKNOWN, "registry_auth": [UNKNOWN]}) == []


def decoded(auth: str) -> dict[str, str]:
    return dict(json.loads(base64.urlsafe_b64decode(auth)))


def test_registry_credentials(tmp_path: Path) -> None:
    """From the block or from a Docker config file; never in a repr."""
    file = tmp_path / "config.json"
    entry = base64.b64encode(b"me:sentinel").decode()
    file.write_text(json.dumps({"auths": {"https://r.example/v1/": {"auth": entry}}}))
    blocks = [
        {"address": "https://other.example", "username": "you", "password": "sentinel"},
        {"address": "r.example", "config_file": str(file)},
        {"address": "open.example", "auth_disabled": True},
    ]
    chosen = resolve({"registry_auth": blocks}, {})
    assert decoded(chosen.auths["other.example"])["username"] == "you"
    assert decoded(chosen.auths["r.example"])["password"] == "sentinel"
    assert chosen.auths["open.example"] == ""
    assert "sentinel" not in repr(chosen)
    assert not any(auth in repr(chosen) for auth in chosen.auths.values() if auth)


@pytest.mark.parametrize(
    ("content", "sentence"), [("{", "Cannot read"), ('{"auths": {"x": {}}}', "no credentials")]
)
def test_missing_credentials(tmp_path: Path, content: str, sentence: str) -> None:
    """The file is named, its content is not shown."""
    file = tmp_path / "config.json"
    file.write_text(content)
    with pytest.raises(ProviderError, match=sentence) as failure:
        resolve({"registry_auth": [{"address": "x", "config_file": str(file)}]}, {})
    assert str(file) in failure.value.summary


def test_registry_names() -> None:
    """All of Docker Hub's names are one."""
    assert registry_key("https://index.docker.io/v1/") == "docker.io"
    assert registry_key("localhost:5000") == "localhost:5000"


def test_docker_cli(monkeypatch: pytest.MonkeyPatch) -> None:
    """A named one is the only one; it talks to the same engine, with BuildKit."""
    assert cli_candidates({}) == ("/usr/bin/docker", "docker")
    assert cli_candidates({"KARSTKIT_DOCKER_CLI": "/d"}) == ("/d",)
    monkeypatch.setenv("DOCKER_CONTEXT", "other")
    env = cli_environment(Configuration("tcp://h:1", Path("/c")))
    assert (env["DOCKER_BUILDKIT"], env["DOCKER_HOST"]) == ("1", "tcp://h:1")
    assert (env["DOCKER_CERT_PATH"], env["DOCKER_TLS_VERIFY"]) == ("/c", "1")
    assert "DOCKER_CONTEXT" not in env


def test_log_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The named one, made if need be; else one of its own."""
    monkeypatch.setenv("KARSTKIT_LOG_DIR", str(tmp_path / "a" / "b"))
    assert log_directory() == tmp_path / "a" / "b"
    assert log_directory().is_dir()
    monkeypatch.delenv("KARSTKIT_LOG_DIR")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert log_directory().parent == tmp_path
