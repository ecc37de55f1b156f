"""Names of the labels on every container, network, data volume and built image of a project.

Constructs write them, and the command side finds, heals and removes by them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

PROJECT = "org.karstkit.project"
SERVICE = "org.karstkit.service"
ROLE = "org.karstkit.role"
CANDIDATE = "candidate-"
"""Begins the roles (``candidate-envoy``, ``candidate-app``) of a pair that is being tried."""
OPERATOR = "operator"
"""The role of a container that lives as long as a person's `iac proxy`; nobody starts it again."""

RUN = "run-"
"""Begins the roles (``run-envoy``, ``run-app``) of a pair that runs one command of a person's."""
SLUG = "org.karstkit.slug"
UIDS = "org.karstkit.uids"
TREE = "org.karstkit.tree"
VOLUME = "org.karstkit.volume"
"""What repos.yaml calls a data volume."""
FIXED = "org.karstkit.fixed"
"""A hash of what only a new container can change."""


DATA = "terraform_data"
"""The kind of Terraform's own resource that carries a value; the ingress's routes are one."""
POLICIES: Final = "policies"
"""The role, and in place of a service's the name, of the resource that has policies sent."""

FOREIGN = "org.karstkit.foreign"
"""On the container of an image that is not ours: it has no runner, and the engine bounds it."""

IMAGE_KEY = "org.karstkit.image-key"
"""On an image: the tag that it was built for; the provider does not build it again then."""

IMAGES = "iac/"
"""Begins the names of this tool's images: those of services, and what sidecars run."""


def of_dockerfile(project: str, service: str, tag: str, tree: str) -> dict[str, str]:
    """The labels of an image that a repository's own Dockerfile makes."""
    return {PROJECT: project, SERVICE: service, ROLE: "app", TREE: tree, IMAGE_KEY: tag}


def is_own(kind: str, body: Mapping[str, Any]) -> bool:
    """Whether a resource with these attributes is a part of a project; else somebody added it."""
    if kind == DATA:
        return SERVICE in of_data(body)
    if kind == "docker_image":
        return str(body.get("name", "")).startswith(IMAGES)
    return kind.startswith("docker_") and SERVICE in of(body)


def of_data(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The input of a terraform_data; in the state it lies beside its type."""
    found = body.get("input")
    if isinstance(found, Mapping) and found.keys() == {"type", "value"}:
        found = found["value"]
    return found if isinstance(found, Mapping) else {}


def of_build(body: Mapping[str, Any]) -> dict[str, str]:
    """The labels that a docker_image in Terraform's JSON gives what it builds, by name.

    A block may be an object there, or a list of one.
    """
    block = body.get("build")
    if isinstance(block, list):
        block = block[0] if block else None
    return dict(block.get("label") or {}) if isinstance(block, Mapping) else {}


def of(body: Mapping[str, Any]) -> dict[str, str]:
    """The labels of a resource in Terraform's JSON, by name."""
    found = body.get("labels")
    return {item["label"]: item["value"] for item in found} if isinstance(found, list) else {}
