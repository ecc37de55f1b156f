"""Data volumes on the engine: which there are, how large, who uses them. It must not know why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from iac_wrapper.adapters.engine import Container, Engine
from iac_wrapper.model import labels


@dataclass(frozen=True)
class EngineVolume:
    """A volume: its labels, and when it was made (ISO 8601, as the engine says it)."""

    name: str
    labels: Mapping[str, str]
    created_at: str

    def belongs_to(self, project: str, service: str) -> bool:
        """Whether it was made for this service."""
        return (self.labels.get(labels.PROJECT), self.labels.get(labels.SERVICE)) == (
            project,
            service,
        )


def find(engine: Engine, name: str) -> EngineVolume | None:
    """The volume of that name; None: there is none."""
    return next((found for found in _listed(engine, {"name": name}) if found.name == name), None)


def of_project(engine: Engine, project: str) -> list[EngineVolume]:
    """What carries the project's label, sorted by name."""
    wanted = {"label": f"{labels.PROJECT}={project}"}
    return sorted(_listed(engine, wanted), key=lambda volume: volume.name)


def create(engine: Engine, name: str, present: Mapping[str, str]) -> EngineVolume:
    """Make a volume with these labels; one that is there is returned as it is."""
    made = engine.call(lambda api: api.create_volume(name, driver="local", labels=dict(present)))
    return _volume(made)


def remove(engine: Engine, name: str) -> None:
    """Remove a volume with all that is in it.

    Raises:
        CommandError: a container uses it.
    """
    engine.call(lambda api: api.remove_volume(name))


def users(engine: Engine, name: str) -> list[Container]:
    """Containers that use a volume, running or not, sorted by name."""
    found = engine.call(lambda api: api.containers(all=True, filters={"volume": name}))
    containers = (engine.container(item["Id"]) for item in found)
    return sorted((each for each in containers if each), key=lambda each: each.name)


def sizes(engine: Engine) -> dict[str, int]:
    """Bytes of every volume of the engine, by name; the engine counts them when it is asked."""
    found = engine.call(lambda api: api.df())["Volumes"] or []
    usage = {volume["Name"]: volume.get("UsageData") or {} for volume in found}
    return {name: size for name, each in usage.items() if (size := each.get("Size", -1)) >= 0}


def _listed(engine: Engine, wanted: Mapping[str, str]) -> list[EngineVolume]:
    found = engine.call(lambda api: api.volumes(filters=dict(wanted)))["Volumes"] or []
    return [_volume(item) for item in found]


def _volume(item: Mapping[str, Any]) -> EngineVolume:
    return EngineVolume(item["Name"], item.get("Labels") or {}, item.get("CreatedAt", ""))
