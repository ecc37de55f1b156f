"""``docker build``: one command for base images, app images and what the Docker provider builds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from iac_wrapper.adapters.process import Command
from provider import build, schema, values


def command(docker: str | Path, tag: str, block: Mapping[str, Any]) -> Command:
    """What builds `tag` with BuildKit, as the provider would.

    Args:
        docker: the CLI.
        tag: the image's name.
        block: a ``build`` block of a docker_image; what it leaves out is as by default.
    """
    kind = schema.load_schemas().resources["docker_image"].block.blocks["build"]
    whole = values.fill(kind, [block], computed=None)[0]
    return Command(build.command(str(docker), tag, whole), env={"DOCKER_BUILDKIT": "1"})
