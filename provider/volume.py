"""docker_volume: translation to and from the Engine API."""

from __future__ import annotations

from typing import Any

from . import labels
from .engine import EngineRefusedError, name_in_path
from .problems import ProviderError
from .resource import ProviderContext, Resource
from .values import Values


class VolumeResource(Resource):
    """The docker_volume resource."""

    def create(self, context: ProviderContext, planned: Values) -> Values:
        """Create the volume. Docker answers with the existing one if the name is taken."""
        body: dict[str, Any] = {
            "Labels": labels.to_api(planned["labels"]),
            "DriverOpts": planned["driver_opts"] or {},
        }
        for name, key in (("name", "Name"), ("driver", "Driver")):
            if isinstance(planned[name], str):
                body[key] = planned[name]
        try:
            found = context.engine.post("/volumes/create", body)
        except EngineRefusedError as fault:
            raise ProviderError(
                f"Docker cannot create volume {body.get('Name', '')!r}: {fault.message}.",
                path=("name",),
            ) from None
        return to_state(planned, found)

    def read(self, context: ProviderContext, state: Values) -> Values | None:
        """The volume of the state's id, which is its name."""
        found = context.engine.find(f"/volumes/{name_in_path(state['id'])}")
        return to_state(state, found) if found else None

    def delete(self, context: ProviderContext, state: Values) -> None:
        """Remove the volume."""
        try:
            context.engine.delete(f"/volumes/{name_in_path(state['id'])}")
        except EngineRefusedError as fault:
            if fault.status == 404:
                return
            if fault.status == 409:
                raise ProviderError(
                    f"Volume {state['id']!r} is still used by a container.",
                    f"docker ps -a --filter volume={state['id']} names it; remove it first.",
                    path=("name",),
                ) from None
            raise

    def adopt(self, context: ProviderContext, identifier: str) -> Values:
        """A volume by name."""
        found = context.engine.find(f"/volumes/{name_in_path(identifier)}")
        if not found:
            raise ProviderError(
                f"There is no volume {identifier!r}.", "`docker volume ls` lists them."
            )
        return {**to_state({}, found), "driver_opts": found.get("Options") or {}}


def to_state(state: Values, found: dict[str, Any]) -> Values:
    """`state` with what Docker says now."""
    return {
        **state,
        "id": found["Name"],
        "name": found["Name"],
        "driver": found["Driver"],
        "mountpoint": found["Mountpoint"],
        "labels": labels.to_state(found.get("Labels")),
    }
