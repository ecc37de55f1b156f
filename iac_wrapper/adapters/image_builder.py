"""Builds the images that a synthesized stack describes, before Terraform replaces anything.

Terraform destroys an old container while it still builds the new image: the service would be down
for the whole build, and stay down if the build fails. So images are built first, from the very
`build` blocks of the stack; the provider then finds the tag (or BuildKit its cache).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from iac_wrapper.adapters import docker_build, process
from iac_wrapper.adapters.process import Command, CommandResult
from iac_wrapper.errors import CommandError
from iac_wrapper.model import labels
from iac_wrapper.model.build_failure import BuildFailure
from iac_wrapper.model.redact import Redactor

_TAIL = 40
_STEP = re.compile(r"#\d+ (\[[^]]*\d+/\d+\] .*)")
"""BuildKit's plain progress: ``#7 [2/5] RUN …`` begins a step; the rest goes to the log only."""

_FIX = "fix the app (or its requirements), then deploy again"
_EACH = "do for each what is said below, then deploy again"


@dataclass(frozen=True)
class ImageBuilds:
    """How images are built.

    `docker` is the CLI; each log goes to a file of its own in `logs`; `at_once` images are built
    side by side (None: one for each core). `explain` finds out of what a failed step printed what
    a person has to know; it returns None where nothing is known.
    """

    docker: str
    logs: Path
    redact: Redactor
    at_once: int | None = None
    explain: Callable[[Sequence[str]], BuildFailure | None] = lambda _: None

    def run(self, images: Sequence[Mapping[str, Any]], on_step: Callable[[str, str], None]) -> None:
        """Build `images`; `on_step` gets the image's name and BuildKit's text of each step.

        Raises:
            CommandError: naming every image that failed, with what its log says of the reason.
        """
        self.logs.mkdir(parents=True, exist_ok=True)
        commands = [
            docker_build.command(self.docker, each["name"], each["build"]) for each in images
        ]
        names = {one.argv: image["name"] for one, image in zip(commands, images, strict=True)}

        def show(one: Command, line: str) -> None:
            if step := _STEP.match(line):
                on_step(names[one.argv], step[1])

        at_once = self.at_once or os.cpu_count()
        done = process.stream_all(commands, show, at_once=at_once)
        failed = {}
        for one in done:
            name = names[one.command.argv]
            log, lines = self._log(name, one)
            if one.returncode != 0:
                failed[name] = (log, self.explain(lines), lines)
        if failed:
            raise _failed(failed)

    def _log(self, name: str, done: CommandResult) -> tuple[Path, list[str]]:
        """Where the whole log is, and what the step that failed printed."""
        output = self.redact(done.stdout)
        log = self.logs / (re.sub(r"[^A-Za-z0-9.-]+", "_", name) + ".log")
        log.write_text(output, encoding="utf-8")
        return log, failing_step(output.splitlines())


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


_Failed = Mapping[str, tuple[Path, BuildFailure | None, Sequence[str]]]


def _failed(failed: _Failed) -> CommandError:
    causes = [cause for _, cause, _ in failed.values() if cause]
    only = causes[0] if len(failed) == 1 and causes else None
    return CommandError(
        f"the build of {', '.join(failed)} failed" + (f": {only.message}" if only else ""),
        found=only.line if only else None,
        expected="nothing was changed: what ran before still runs",
        next_step=only.next_step if only else _step(list(failed.values())),
        detail="\n".join(_detail(name, *facts, brief=bool(only)) for name, facts in failed.items()),
    )


def _step(failed: Sequence[tuple[Path, BuildFailure | None, Sequence[str]]]) -> str:
    """What to do for all of several images."""
    steps = {cause.next_step if cause else "" for _, cause, _ in failed}
    if "" in steps:
        return _FIX
    return steps.pop() if len(steps) == 1 else _EACH


def _detail(
    name: str, log: Path, cause: BuildFailure | None, lines: Sequence[str], *, brief: bool
) -> str:
    whole = f"{name}: the whole log is {log}"
    if brief:
        return whole
    if cause:
        return "\n".join(
            (f"{name}: {cause.message}", cause.line, f"next: {cause.next_step}", whole)
        )
    return "\n".join((whole, *lines[-_TAIL:]))


def failing_step(lines: Sequence[str]) -> list[str]:
    """What the step that failed printed, out of BuildKit's plain progress; all if none did.

    Its command, which BuildKit repeats whole, is left out.
    """
    failed = [match[1] for line in lines if (match := re.match(r"#(\d+) ERROR", line))]
    if not failed:
        return list(lines)
    own = re.compile(rf"#{failed[0]} (?:\d+\.\d+ )?(.*)")
    said = [match[1] for line in lines if (match := own.match(line))]
    of_docker = re.compile(r"\[[^]]*\d+/\d+\] RUN |ERROR: |sha256:[0-9a-f]{64}$")
    printed = [line for line in said if not of_docker.match(line)]
    return printed or said
