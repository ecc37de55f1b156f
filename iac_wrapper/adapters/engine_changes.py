"""What a rollout changes on the engine beside Terraform: containers of its own, names, images."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from iac_wrapper.adapters.engine import Container, Engine
from iac_wrapper.errors import CommandError
from iac_wrapper.model import labels
from iac_wrapper.model.limits import CONTAINER_PROCESSES


def create(
    engine: Engine,
    name: str,
    body: Mapping[str, Any],
    *,
    before_start: Callable[[str], None] = lambda _: None,
) -> str:
    """Create a container from the body of an API call, start it, and return its id.

    Where the body says nothing else, it is bounded as containers of ours are.

    Args:
        before_start: called with its id when it is made.

    Raises:
        CommandError: the engine refused; nothing of that name is left.
    """

    host = {"PidsLimit": CONTAINER_PROCESSES, **body.get("HostConfig", {})}

    def make(api: Any) -> str:
        return str(api.create_container_from_config({**body, "HostConfig": host}, name)["Id"])

    made = engine.call(make)
    try:
        before_start(made)
        engine.call(lambda api: api.start(made))
    except CommandError:
        engine.call(lambda api: api.remove_container(made, v=True, force=True))
        raise
    return made


def bound(engine: Engine, container: Container, processes: int) -> None:
    """Hold a container to so many processes and threads; a kernel that cannot is no error."""
    try:
        engine.call(
            lambda api: api._result(
                api._post_json(
                    api._url("/containers/{0}/update", container.id), data={"PidsLimit": processes}
                )
            )
        )
    except CommandError:
        return


def news(engine: Engine, project: str, kinds: Collection[str]) -> Iterator[str]:
    """What happens to containers of `project` from now on: one of `kinds` each, for ever.

    Raises:
        EngineError: the engine does not answer, or went.
    """
    filters = {"type": "container", "label": f"{labels.PROJECT}={project}", "event": list(kinds)}
    for event in engine.call(lambda api: api.events(decode=True, filters=filters)):
        yield event["Action"]


def rename(engine: Engine, container: Container, name: str) -> None:
    """Give a container another name; what is connected to it stays connected."""
    engine.call(lambda api: api.rename(container.id, name))


def stop(engine: Engine, container: Container) -> None:
    """Stop a container, with the grace that is its own; gone is fine."""
    import docker.errors  # noqa: PLC0415 - the SDK costs 0.2 s that other commands must not pay

    def act(api: Any) -> None:
        try:
            api.stop(container.id, timeout=container.stop_seconds)
        except docker.errors.NotFound:
            return

    engine.call(act)


def remove_image(engine: Engine, tag: str) -> bool:
    """Remove a tag, and the image with its last one; False if a container uses it."""
    import docker.errors  # noqa: PLC0415 - see above

    def act(api: Any) -> bool:
        try:
            api.remove_image(tag, noprune=False)
        except docker.errors.APIError as error:
            if error.status_code not in (404, 409):
                raise
            return bool(error.status_code == 404)
        return True

    return engine.call(act)
