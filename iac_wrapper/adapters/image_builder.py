"""Builds the images that a synthesized stack describes, before Terraform replaces anything.

Terraform destroys an old container while it still builds the new image: the service would be down
for the whole build, and stay down if the build fails. So images are built first, from the very
`build` blocks of the stack; the provider then finds the tag (or BuildKit its cache).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from iac_wrapper.adapters import docker_build, process
from iac_wrapper.adapters.process import Command
from iac_wrapper.errors import CommandError
from iac_wrapper.model import labels
from iac_wrapper.model.redact import Redactor

_TAIL = 40
_WIDTH = 90
_STAGE = re.compile(r"#\d+ (\[[^]]*\d+/\d+\] .*)")
"""BuildKit's plain progress: ``#7 [2/5] RUN …`` begins a step; the rest goes to the log only."""


def blocks(stack: Path, addresses: Sequence[str]) -> list[Mapping[str, Any]]:
    """The docker_image resources of ``cdk.tf.json`` in `stack` that are among `addresses`, and
    services': others are Terraform's alone.
    """
    resources = json.loads((stack / "cdk.tf.json").read_text(encoding="utf-8"))["resource"]
    images = resources.get("docker_image", {})
    return [
        body
        for name, body in sorted(images.items())
        if f"docker_image.{name}" in addresses and labels.SERVICE in labels.of_build(body)
    ]


def build_all(
    docker: str,
    images: Sequence[Mapping[str, Any]],
    logs: Path,
    on_line: Callable[[str], None],
    redact: Redactor,
) -> None:
    """Build `images` side by side; each log goes to a file of its own in `logs`.

    Raises:
        CommandError: naming every image that failed, with the end of its log.
    """
    logs.mkdir(parents=True, exist_ok=True)
    commands = [docker_build.command(docker, each["name"], each["build"]) for each in images]
    names = {one.argv: image["name"] for one, image in zip(commands, images, strict=True)}

    def show(one: Command, line: str) -> None:
        if stage := _STAGE.match(line):
            text = stage[1] if len(stage[1]) <= _WIDTH else stage[1][: _WIDTH - 1] + "…"
            on_line(f"{names[one.argv]}: {text}")

    done = process.stream_all(commands, show)
    failed = []
    for one in done:
        name = names[one.command.argv]
        output = redact(one.stdout)
        log = logs / (re.sub(r"[^A-Za-z0-9.-]+", "_", name) + ".log")
        log.write_text(output, encoding="utf-8")
        if one.returncode != 0:
            tail = "\n".join(failing_step(output.splitlines())[-_TAIL:])
            failed.append((name, f"{name}: the whole log is {log}\n{tail}"))
    if failed:
        raise CommandError(
            f"the build of {', '.join(name for name, _ in failed)} failed",
            expected="nothing was changed: what ran before still runs",
            next_step="fix the app (or its requirements), then deploy again",
            detail="\n".join(text for _, text in failed),
        )


def failing_step(lines: Sequence[str]) -> list[str]:
    """What the step that failed printed, out of BuildKit's plain progress; all if none did."""
    failed = [match[1] for line in lines if (match := re.match(r"#(\d+) ERROR", line))]
    if not failed:
        return list(lines)
    own = re.compile(rf"#{failed[0]} (?:\d+\.\d+ )?(.*)")
    return [match[1] for line in lines if (match := own.match(line))]
