"""docker_container: create, start, watch, update, stop and remove."""

from __future__ import annotations

import time
from typing import Any

from . import image
from .container_api import LIMITS, endpoint, networks, to_api, to_update, upload_archive
from .container_checks import check
from .container_faults import explain
from .container_state import adopt, is_running, refresh, unlimited
from .engine import EngineRefusedError, name_in_path
from .planning import Rules
from .problems import ProviderError, keeping
from .resource import ProviderContext, Resource
from .values import Values, is_empty


def _same_capabilities(prior: Any, desired: Any) -> bool:
    """``NET_ADMIN`` and ``cap_net_admin`` are ``CAP_NET_ADMIN``."""
    return _capability_names(prior) == _capability_names(desired)


def _capability_names(blocks: Any) -> list[list[str]]:
    names = []
    for kind in ("add", "drop"):
        items = [name for block in blocks or [] for name in block[kind] or []]
        names.append(sorted(_capability_name(str(item)) for item in items))
    return names


def _capability_name(text: str) -> str:
    """With its prefix; ALL has none, and the engine knows no CAP_ALL."""
    name = text.upper()
    return name if name == "ALL" or name.startswith("CAP_") else f"CAP_{name}"


def _same_ports(prior: Any, desired: Any) -> bool:
    """The order of ports has no meaning."""
    return sorted(map(repr, map(_port, prior or []))) == sorted(map(repr, map(_port, desired)))


def _port(block: Values) -> tuple[Any, ...]:
    return tuple(block[name] for name in ("internal", "external", "ip", "protocol"))


def _left_to_the_image(_prior: Any, desired: Any) -> bool:
    """An empty user or working directory means the image's."""
    return is_empty(desired)


def _limit_lifted(prior: Any, desired: Any) -> bool:
    """An update call takes 0 for "as it is": only a new container gets rid of a limit."""
    return is_empty(desired) and not is_empty(prior)


class ContainerResource(Resource):
    """The docker_container resource."""

    rules = Rules(
        same={
            "capabilities": _same_capabilities,
            "ports": _same_ports,
            "user": _left_to_the_image,
            "working_dir": _left_to_the_image,
        },
        replace=dict.fromkeys(LIMITS, _limit_lifted),
    )

    def validate(self, config: Values) -> list[ProviderError]:
        """Everything that can be known before Docker sees it."""
        return check(config)

    def create(self, context: ProviderContext, planned: Values) -> Values:
        """Create and start the container, then see that it stays."""
        identifier = _create(context, planned)
        made = {**planned, "id": identifier}
        with keeping(made):
            _start(context, identifier, planned)
            found = context.engine.get(f"/containers/{identifier}/json")
            state = _refreshed(context, made, found)
            _check_alive(planned, found, state)
            if planned["wait"]:
                _await_health(context, planned, state)
        return state

    def read(self, context: ProviderContext, state: Values) -> Values | None:
        """The container with the state's id."""
        found = context.engine.find(f"/containers/{state['id']}/json")
        return _refreshed(context, state, found) if found else None

    def update(self, context: ProviderContext, prior: Values, planned: Values) -> Values:
        """Change limits and restart policy; start what should run."""
        identifier = prior["id"]
        changeable = (*LIMITS, "restart", "max_retry_count")
        try:
            if any(prior[name] != planned[name] for name in changeable):
                context.engine.post(f"/containers/{identifier}/update", to_update(planned))
            if planned["must_run"] and planned["start"]:
                found = context.engine.get(f"/containers/{identifier}/json")
                if not is_running(found):
                    context.engine.post(f"/containers/{identifier}/start")
        except EngineRefusedError as fault:
            raise explain(fault, planned, state=prior) from None
        found = context.engine.get(f"/containers/{identifier}/json")
        state = _refreshed(context, planned, found)
        _check_alive(planned, found, state)
        return state

    def delete(self, context: ProviderContext, state: Values) -> None:
        """Stop in time, then remove, anonymous volumes included if so configured."""
        identifier = state["id"]
        grace = state.get("destroy_grace_seconds") or state.get("stop_timeout") or 0
        try:
            if grace:
                context.engine.post(f"/containers/{identifier}/stop", t=grace, timeout=grace + 60.0)
            context.engine.delete(
                f"/containers/{identifier}", force=True, v=bool(state.get("remove_volumes"))
            )
        except EngineRefusedError as fault:
            if fault.status == 409 and "in progress" in fault.message:
                _await_removal(context, state)
            elif fault.status != 404:
                raise ProviderError(
                    f"Docker cannot remove container {state['name']!r}: {fault.message}.",
                    f"docker rm -f {state['name']}",
                    path=("name",),
                ) from None

    def adopt(self, context: ProviderContext, identifier: str) -> Values:
        """A container by name or id."""
        found = context.engine.find(f"/containers/{name_in_path(identifier)}/json")
        if not found:
            raise ProviderError(
                f"There is no container {identifier!r}.", "`docker ps -a` lists them."
            )
        return adopt(found, image.find(context, found["Image"]))


def _create(context: ProviderContext, planned: Values) -> str:
    body, name = to_api(planned), planned["name"]
    try:
        made = context.engine.post("/containers/create", body, name=name)
    except EngineRefusedError as fault:
        if fault.status != 404 or "No such image" not in fault.message:
            raise explain(fault, planned) from None
        image.pull(context, planned["image"], "", path=("image",))
        try:
            made = context.engine.post("/containers/create", body, name=name)
        except EngineRefusedError as second:
            raise explain(second, planned) from None
    return str(made["Id"])


def _start(context: ProviderContext, identifier: str, planned: Values) -> None:
    try:
        _prepare(context, identifier, planned)
        if planned["start"]:
            context.engine.post(f"/containers/{identifier}/start")
    except EngineRefusedError as fault:
        raise explain(fault, planned) from None
    except OSError as error:
        raise ProviderError(
            f"Cannot read a file to upload: {error.strerror}: {error.filename}.", path=("upload",)
        ) from None


def _prepare(context: ProviderContext, identifier: str, planned: Values) -> None:
    """What a create call cannot carry: further networks, and files."""
    _at_create, later = networks(planned)
    for block in later:
        body = {"Container": identifier, "EndpointConfig": endpoint(block)}
        context.engine.post(f"/networks/{name_in_path(block['name'])}/connect", body)
    if planned["upload"]:
        context.engine.put_archive(identifier, upload_archive(planned["upload"]))


def _refreshed(context: ProviderContext, state: Values, found: dict[str, Any]) -> Values:
    """`state` refreshed; the engine is asked what it cannot limit only when that matters."""
    lost = unlimited(state, found)
    if lost:
        lost -= context.engine.limits
    return refresh(state, found, ignored=lost)


def _check_alive(planned: Values, found: dict[str, Any], state: Values) -> None:
    if not planned["must_run"] or not planned["start"] or is_running(found):
        return
    name, code = planned["name"], found["State"]["ExitCode"]
    raise ProviderError(
        f"Container {name!r} exited at once with exit code {code}.",
        f"docker logs {name} says why. Set must_run = false if it is meant to end.",
        path=("must_run",),
        state=state,
    )


def _await_health(context: ProviderContext, planned: Values, state: Values) -> None:
    """Poll until the container's own health check passes."""
    name, deadline = planned["name"], time.monotonic() + planned["wait_timeout"]
    pause, status = 0.05, "starting"
    while time.monotonic() < deadline and not context.stop.is_set():
        found = context.engine.find(f"/containers/{state['id']}/json")
        health = ((found or {}).get("State") or {}).get("Health")
        if not health:
            raise ProviderError(
                f"Container {name!r} has no health check to wait for.",
                "Add a healthcheck block, or remove wait.",
                path=("wait",),
                state=state,
            )
        status = health["Status"]
        if status == "healthy":
            return
        context.stop.wait(pause)
        pause = min(pause * 1.5, 0.5)
    raise ProviderError(
        f"Container {name!r} is {status}, not healthy, after {planned['wait_timeout']} s.",
        f"docker inspect {name} shows the last answers of its health check.",
        path=("wait_timeout",),
        state=state,
    )


def _await_removal(context: ProviderContext, state: Values) -> None:
    """Poll until a removal that Docker began by itself (`rm`) has ended."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if context.engine.find(f"/containers/{state['id']}/json") is None:
            return
        time.sleep(0.02)
    raise ProviderError(f"The removal of container {state['name']!r} does not end.")
