"""The image that a repository's own Dockerfile makes: its tag, and what is built from what."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from iac_wrapper.errors import SourceError
from iac_wrapper.files.layout import Layout
from iac_wrapper.model.app import Checkout
from iac_wrapper.model.labels import of_dockerfile


@dataclass(frozen=True)
class DockerfileBuild:
    """An image to be, as in `AppBuild`: its tag, the source and its hash, and the context that is
    written.

    The Dockerfile is part of the source, so nothing is put beside it.
    """

    image: str
    source: Path
    tree: str
    context: Path
    dockerfile: str
    files: Mapping[str, str] = field(default_factory=dict)

    def block(self, project: str, service: str, tree: str, secrets: Path) -> Mapping[str, Any]:
        """A ``build`` block of a docker_image, as the construct has it."""
        root = self.context / "app"
        return {
            "context": str(root),
            "dockerfile": str(root / self.dockerfile),
            "label": of_dockerfile(project, service, self.image, tree),
            "secrets": [{"id": name, "src": str(secrets / name)} for name in ("ca", "env")],
        }


def describe(checkout: Checkout, dockerfile: str, layout: Layout, project: str) -> DockerfileBuild:
    """What building `checkout` by its Dockerfile, as `written` calls it, would mean. Reads only.

    Raises:
        SourceError: there is no such file.
    """
    dockerfile = written(checkout.path, dockerfile)
    if not (checkout.path / dockerfile).is_file():
        raise _missing(checkout, dockerfile)
    key = hashlib.sha256(json.dumps((checkout.tree, dockerfile)).encode()).hexdigest()[:12]
    image = f"iac/{project}-{checkout.spec.name}:{key}"
    context = layout.context(project, image)
    return DockerfileBuild(image, checkout.path, checkout.tree, context, dockerfile)


def written(root: Path, dockerfile: str) -> str:
    """The same with the case of the file: Docker takes ``dockerfile`` for ``Dockerfile``."""
    small = dockerfile.lower()
    is_other = dockerfile == "Dockerfile" and not (root / dockerfile).is_file()
    return small if is_other and (root / small).is_file() else dockerfile


def _missing(checkout: Checkout, dockerfile: str) -> SourceError:
    found = sorted(
        str(path.relative_to(checkout.path))
        for path in checkout.path.rglob("*ockerfile*")
        if path.is_file()
    )
    step = f"write `build: {found[0]}`" if found else "leave `build:` out, or add a Dockerfile"
    return SourceError(
        f"the repository has no file {dockerfile}",
        where=checkout.spec.where or None,
        found=", ".join(found[:5]) or "no Dockerfile at all",
        expected=f"{dockerfile} in the folder of the slug",
        next_step=step,
    )
