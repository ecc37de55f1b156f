"""Images in the engine: looked up, pulled, built. Knows nothing of what is in them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from iac_wrapper.adapters import docker_build, process
from iac_wrapper.adapters.process import Command

BASE_LABEL = "org.karstkit.base"
"""On bases built here: the hash of the recipe, by which a later run knows its own work."""


@dataclass(frozen=True)
class EngineImage:
    """An image that the engine has.

    `layers` are the digests of its uncompressed layers: unlike `id` they do not depend on when
    it was made, so equal contents give equal tags for what is built on it.
    """

    reference: str
    id: str
    layers: tuple[str, ...]
    labels: Mapping[str, str]
    digests: tuple[str, ...]


def inspect_image(docker: Path, reference: str) -> EngineImage | None:
    """The image, or None if the engine has none of that name."""
    done = process.run(Command((str(docker), "image", "inspect", reference)), timeout=60)
    if done.returncode:
        return None
    facts = json.loads(done.stdout)[0]
    return EngineImage(
        reference=reference,
        id=facts["Id"],
        layers=tuple(facts["RootFS"].get("Layers") or ()),
        labels=facts["Config"].get("Labels") or {},
        digests=tuple(facts.get("RepoDigests") or ()),
    )


@dataclass(frozen=True)
class ImageRecipe:
    """An image to build: from `dockerfile`, with `files` (path in the context -> source file)."""

    repository: str
    version: str
    dockerfile: Path
    files: Mapping[str, Path]
    base: EngineImage

    @property
    def tag(self) -> str:
        """``<repository>:<version>-<12 hex>``: a hash of everything that goes in."""
        digest = hashlib.sha256()
        for part in (*self.base.layers, self.dockerfile.read_text(encoding="utf-8")):
            digest.update(part.encode() + b"\0")
        for name, path in sorted(self.files.items()):
            digest.update(f"{name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
        return f"{self.repository}:{self.version}-{digest.hexdigest()[:12]}"


def build_command(build: ImageRecipe, docker: Path, context_folder: Path, secrets: Path) -> Command:
    """``docker build`` with BuildKit; CA bundle and index settings go in as secrets."""
    block = {
        "context": str(context_folder),
        "dockerfile": str(build.dockerfile),
        "build_args": {"BASE": build.base.reference},
        "secrets": [{"id": name, "src": str(secrets / name)} for name in ("ca", "env")],
    }
    return docker_build.command(docker, build.tag, block)


def fill(folder: Path, files: Iterable[tuple[str, Path]]) -> None:
    """Copy `files` into a new build context; modes do not matter, Dockerfiles set them."""
    for name, source in files:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())


def log_name(reference: str) -> str:
    """A file name for the log of a build."""
    return "build-" + reference.replace("/", "-").replace(":", "-")
