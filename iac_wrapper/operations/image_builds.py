"""Images of a project, built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from iac_wrapper.adapters.image_builder import ImageBuilds
from iac_wrapper.model import labels
from iac_wrapper.operations.workspace import Workspace
from iac_wrapper.program import build_step
from iac_wrapper.program.build_log import explain

_WIDTH = 90


def build_images(workspace: Workspace, images: Sequence[Mapping[str, Any]]) -> None:
    """Build docker_image resources, some side by side.

    Raises:
        CommandError: one failed.
    """
    builds = ImageBuilds(
        workspace.host.docker,
        workspace.directory / "log",
        workspace.redactor(),
        workspace.settings.builds,
        explain,
    )
    services = {each["name"]: labels.of_build(each).get(labels.SERVICE, "") for each in images}

    def say(image: str, step: str) -> None:
        text = step if len(step) <= _WIDTH else step[: _WIDTH - 1] + "…"
        workspace.progress(f"{image}: {text}", services[image], "build")
        workspace.stage(services[image], "build", build_step.words(step))

    for service in services.values():
        workspace.stage(service, "build", "its image")
    builds.run(images, say)
