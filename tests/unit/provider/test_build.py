"""Build commands as values, and how a build ends."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from provider.build import TAIL_LINES, BuildCommand, command, find_cli, log_file, run
from provider.problems import ProviderError
from tests.support.embedded_provider import planned


def block(**config: Any) -> dict[str, Any]:
    values = planned("docker_image", name="x", build=[{"context": "/src", **config}])
    return dict(values["build"][0])


def test_smallest_command() -> None:
    """Plain progress, the tag, the Dockerfile inside the context."""
    assert command("docker", "n:1", block()) == (
        "docker",
        "build",
        "--progress=plain",
        "--tag",
        "n:1",
        "--file",
        "/src/Dockerfile",
        "/src",
    )


@pytest.mark.parametrize(
    ("config", "arguments"),
    [
        ({"dockerfile": "sub/File"}, "--file /src/sub/File"),
        ({"dockerfile": "/abs/File"}, "--file /abs/File"),
        (
            {"secrets": [{"id": "a", "src": "/s"}, {"id": "b", "env": "B"}]},
            "--secret id=a,src=/s --secret id=b,env=B",
        ),
        ({"build_args": {"B": "2", "A": "1"}}, "--build-arg A=1 --build-arg B=2"),
        ({"label": {"b": "1"}, "labels": {"a": "2"}}, "--label a=2 --label b=1"),
        (
            {"target": "t", "network_mode": "host", "platform": "linux/amd64"},
            "--target t --network host --platform linux/amd64",
        ),
        (
            {"extra_hosts": ["h:192.0.2.1"], "cache_from": ["c"]},
            "--add-host h:192.0.2.1 --cache-from c",
        ),
        ({"no_cache": True, "pull_parent": True}, "--no-cache --pull"),
        ({"tag": ["n:2"]}, "--tag n:2"),
    ],
)
def test_arguments(config: dict[str, Any], arguments: str) -> None:
    """Each attribute as the CLI wants it."""
    assert arguments in " ".join(command("docker", "n:1", block(**config)))


def test_log_file(tmp_path: Path) -> None:
    """The block's own, else one named like the image."""
    assert log_file("a/b:1", block(), tmp_path) == tmp_path / "a_b_1.log"
    assert log_file("a/b:1", block(build_log_file="/l"), tmp_path) == Path("/l")


def shell(script: str, tmp_path: Path) -> BuildCommand:
    return BuildCommand(("sh", "-c", script), tmp_path / "logs" / "it.log")


def test_a_good_build_leaves_its_log(tmp_path: Path) -> None:
    """Both streams, in order."""
    build = shell("echo out; echo err >&2", tmp_path)
    run(build, {"PATH": "/usr/bin:/bin"}, threading.Event())
    assert build.log.read_text() == "out\nerr\n"


def test_a_failed_build_shows_the_end_of_its_log(tmp_path: Path) -> None:
    """Forty lines, without credentials; the file has all."""
    build = shell("seq 100; echo https://user:sentinel@host/; exit 3", tmp_path)
    with pytest.raises(ProviderError, match="exit code 3") as failure:
        run(build, {"PATH": "/usr/bin:/bin"}, threading.Event())
    shown = failure.value.next_step
    assert str(build.log) in shown
    assert "\n61\n" not in shown
    assert "\n62\n" in shown
    assert "sentinel" not in shown
    assert TAIL_LINES == 40
    assert build.log.read_text().startswith("1\n2\n")


def test_the_log_holds_no_secret(tmp_path: Path) -> None:
    """Neither credentials in a URL nor a private key of several lines."""
    key = "-----BEGIN PRIVATE KEY-----\\nc2VudGluZWw\\n-----END PRIVATE KEY-----"
    build = shell(
        f"echo before https://user:sentinel@host/; printf '%b' '{key}\\nafter\\n'", tmp_path
    )
    run(build, {"PATH": "/usr/bin:/bin"}, threading.Event())
    text = build.log.read_text()
    assert "sentinel" not in text
    assert "c2VudGluZWw" not in text
    assert text.startswith("before ")
    assert text.endswith("\nafter\n")


def test_a_stop_kills_the_whole_build(tmp_path: Path) -> None:
    """Its children too, at once."""
    stop = threading.Event()
    threading.Timer(0.1, stop.set).start()
    begun = time.monotonic()
    with pytest.raises(ProviderError, match="was stopped"):
        run(shell("sleep 60 & wait", tmp_path), {"PATH": "/usr/bin:/bin"}, stop)
    assert time.monotonic() - begun < 5


def test_the_cli_must_know_buildkit(tmp_path: Path) -> None:
    """A newer CLI without buildx fails on `build --help`; an old one has no --secret."""
    scripts = {
        "broken": "echo 'buildx component is missing' >&2; exit 1",
        "old": "echo --tag",
        "good": "echo --secret",
    }
    for name, script in scripts.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    paths = {name: str(tmp_path / name) for name in scripts}
    candidates = ("/no/such", paths["broken"], paths["old"], paths["good"])
    assert find_cli(candidates) == paths["good"]
    with pytest.raises(ProviderError, match="No docker CLI"):
        find_cli(candidates[:3])
