"""The docker CLI that builds is one with BuildKit, not the first on PATH."""

from __future__ import annotations

from pathlib import Path

import pytest

from iac_wrapper.bootstrap import docker_cli
from iac_wrapper.bootstrap.docker_cli import DockerCli
from iac_wrapper.bootstrap.tools import parse_version
from iac_wrapper.errors import EngineError
from tests.unit.bootstrap.conftest import DOCKER, Rig, executable

SERVER = "24.0.7"


@pytest.mark.parametrize(
    ("client", "buildx", "server", "can"),
    [
        ("20.10.24", False, SERVER, True),
        ("28.2.2", False, SERVER, False),
        ("28.2.2", True, SERVER, True),
        ("18.06.1", False, SERVER, False),
        ("20.10.24", True, None, False),
        (None, False, SERVER, False),
    ],
)
def test_who_can_build(client: str | None, buildx: bool, server: str | None, can: bool) -> None:
    known = [parse_version(text or "") for text in (client, server)]
    assert DockerCli(Path("docker"), known[0], known[1], buildx).can_build is can


def test_a_new_cli_without_buildx_is_passed_over(rig: Rig) -> None:
    second = executable(rig.root / "second" / "docker", DOCKER.replace("../engine", "../engine"))
    rig.tool("docker", "#!/bin/sh\n[ $1 = version ] && echo 28.2.2 20.10.24\n")
    context = rig.context
    context.environ["PATH"] += f":{second.parent}"  # type: ignore[index]
    assert docker_cli.ensure(context).path == second
    assert (context.bin / "docker").readlink() == second


def test_without_any_the_error_lists_what_was_found(rig: Rig) -> None:
    rig.tool("docker", "#!/bin/sh\n[ $1 = version ] && echo 28.2.2 20.10.24\n")
    rig.tool("apt-get", "#!/bin/sh\n")
    rig.tool("apt-cache", "#!/bin/sh\n")
    with pytest.raises(EngineError, match="docker-buildx") as caught:
        docker_cli.ensure(rig.context)
    assert caught.value.detail == f"{rig.tools / 'docker'}: 28.2.2, no buildx plugin"


def test_a_cli_that_the_engine_refuses_says_so(rig: Rig) -> None:
    rig.flag("down")
    found = docker_cli.inspect_cli(rig.tools / "docker")
    assert found.describe().endswith("unknown, the engine does not talk to it")
