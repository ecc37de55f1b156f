from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from iac_wrapper.adapters import docker_build


@pytest.mark.parametrize("dockerfile", ["/c/Dockerfile", "Dockerfile"])
def test_a_dockerfile_may_be_named_absolutely_or_in_its_context(dockerfile: str) -> None:
    """Stacks of today and of before say the same."""
    block = {"context": "/c", "dockerfile": dockerfile, "label": {}}
    argv = docker_build.command("docker", "i:1", block).argv
    assert ("--file", "/c/Dockerfile") in pairwise(argv)


def test_the_command_is_what_the_block_says() -> None:
    """Tag, Dockerfile, labels, secrets and context, with BuildKit."""
    block = {
        "context": "/c",
        "label": {"b": "2", "a": "1"},
        "build_args": {"BASE": "x"},
        "secrets": [{"id": "ca", "src": "/s/ca"}],
    }
    command = docker_build.command(Path("/bin/docker"), "iac/x:1", block)
    assert command.env == {"DOCKER_BUILDKIT": "1"}
    expected = "/bin/docker build --progress=plain --tag iac/x:1 --file /c/Dockerfile"
    expected += " --secret id=ca,src=/s/ca --build-arg BASE=x --label a=1 --label b=2 /c"
    assert command.argv == tuple(expected.split())
