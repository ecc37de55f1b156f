"""Images of a project, built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from iac_wrapper.adapters.image_builder import ImageBuilds
from iac_wrapper.operations.workspace import Workspace
from iac_wrapper.program.build_log import explain


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
    builds.run(images, workspace.progress)
