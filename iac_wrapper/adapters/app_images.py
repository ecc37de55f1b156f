"""Names of services' images on the engine, and when they were last used.

The engine notes when an image was last given a name; giving it the one that it has changes nothing
else, so that is the record of its use. It must not know which images are needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from iac_wrapper.adapters.engine import Engine
from iac_wrapper.errors import CommandError
from iac_wrapper.model import labels


@dataclass(frozen=True)
class NamedImage:
    """One name of an image: ``iac/<project>-<service>:<hash>`` of what was built here,
    ``iac/<project>/<service>:<digest>`` of what was pulled.

    `size` is in bytes, layers that it shares with other images included; `made_at` is when its
    newest layer was made.
    """

    name: str
    project: str
    service: str
    size: int
    made_at: datetime


def listed(engine: Engine) -> list[NamedImage]:
    """Those of every project, by name.

    Raises:
        CommandError, EngineError: the engine refused, or does not answer.
    """

    def ask(api: Any) -> list[dict[str, Any]]:
        built = api.images(filters={"label": labels.PROJECT})
        return [*built, *api.images(name=f"{labels.IMAGES}*/*")]  # pulled ones have no label

    found = {
        name: _image(name, image)
        for image in engine.call(ask)
        for name in image["RepoTags"] or []
        if name.startswith(labels.IMAGES)
    }
    return [image for _, image in sorted(found.items()) if image.project]


def used_at(engine: Engine, image: NamedImage) -> datetime:
    """When it was last given its name, which `touch` does; when it was made if that is unknown."""
    try:
        data = engine.call(lambda api: api.inspect_image(image.name))
    except CommandError:  # gone by now
        return image.made_at
    at = datetime.fromisoformat((data.get("Metadata") or {}).get("LastTagTime") or _NEVER)
    return max(at, image.made_at)


def touch(engine: Engine, name: str) -> None:
    """Note that it is in use now; gone is fine."""
    repository, _, tag = name.rpartition(":")
    try:
        engine.call(lambda api: api.tag(name, repository, tag))
    except CommandError:
        return


_NEVER = "0001-01-01T00:00:00+00:00"


def _image(name: str, image: dict[str, Any]) -> NamedImage:
    found = image.get("Labels") or {}
    project, service = found.get(labels.PROJECT, ""), found.get(labels.SERVICE, "")
    if not name.startswith(f"{labels.IMAGES}{project}-"):
        _, _, path = name.rpartition(":")[0].partition("/")
        project, _, service = path.rpartition("/")
    made_at = datetime.fromtimestamp(image.get("Created", 0), UTC)
    return NamedImage(name, project, service, image.get("Size", 0), made_at)
