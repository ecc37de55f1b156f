"""docker_image: local, pulled or built."""

from __future__ import annotations

import json
import re
from typing import Any

from . import build as builds
from . import durations
from .configuration import cli_candidates, cli_environment, log_directory
from .engine import EngineRefusedError, name_in_path, registry_of
from .labels import KEY_LABEL
from .problems import ProviderError, not_implemented
from .resource import ProviderContext, Resource
from .values import UNKNOWN, Values, is_empty

DEFAULT_TIMEOUT = 20 * 60.0
"""Seconds a build may take, as in the official provider."""


class ImageResource(Resource):
    """The docker_image resource."""

    def validate(self, config: Values) -> list[ProviderError]:
        """Refuse what is not implemented, and durations that are none."""
        problems = []
        for block in config.get("build") or []:
            if block is not UNKNOWN:
                problems += _refused(block) + _bad_secrets(block)
        for name, value in (config.get("timeouts") or {}).items():
            if name != "create" and value is not None:
                problems.append(not_implemented(("timeouts", name)))
            elif isinstance(value, str):
                problems += _bad_duration(value)
        return problems

    def create(self, context: ProviderContext, planned: Values) -> Values:
        """Build, or find, or pull; then read."""
        name = planned["name"]
        found = find(context, name)
        if planned["build"]:
            if not _built_for_this_tag(found, planned):
                _build(context, planned)
                found = find(context, name)
        elif found is None or not _is_platform(found, planned["platform"]):
            pull(context, name, planned["platform"] or "", path=("name",))
            found = find(context, name)
        if found is None:
            raise ProviderError(f"Image {name!r} is not there after all.", path=("name",))
        return to_state(planned, found)

    def read(self, context: ProviderContext, state: Values) -> Values | None:
        """The image the state's name stands for now."""
        found = find(context, state["name"])
        return to_state(state, found) if found else None

    def delete(self, context: ProviderContext, state: Values) -> None:
        """Remove the name, and with its last name the image, unless `keep_locally`."""
        if state.get("keep_locally"):
            return
        name = name_in_path(state["name"])
        try:
            context.engine.delete(f"/images/{name}", force=bool(state.get("force_remove")))
        except EngineRefusedError as fault:
            if fault.status == 404:
                return
            if fault.status == 409:
                raise _in_use(context, state, fault) from None
            raise

    def adopt(self, context: ProviderContext, identifier: str) -> Values:
        """An image by name, or by the state's id (image id and name in one)."""
        name = re.sub(r"^sha256:[0-9a-f]{64}(?=.)", "", identifier)
        found = find(context, name)
        if found is None:
            raise ProviderError(f"There is no image {name!r}.", "`docker image ls` lists them.")
        return to_state({"name": name}, found)


def find(context: ProviderContext, name: str) -> Any:
    """The engine's description of an image, or None."""
    return context.engine.find(f"/images/{name_in_path(name)}/json")


def to_state(state: Values, found: dict[str, Any]) -> Values:
    """`state` with what Docker says now."""
    name = state["name"]
    repository = name.partition("@")[0]
    digests = [
        item
        for item in found.get("RepoDigests") or []
        if re.sub(r":[^:/]+$", "", repository) == item.partition("@")[0]
    ]
    return {
        **state,
        "id": found["Id"] + name,
        "image_id": found["Id"],
        "repo_digest": digests[0] if digests else "",
    }


def pull(context: ProviderContext, name: str, platform: str, *, path: tuple[str, ...]) -> None:
    """Pull `name`; the error names the image, never the credentials.

    Raises:
        ProviderError: the engine could not get it, or Terraform wants to stop.
    """
    auth = context.configuration.auths.get(registry_of(name), "")
    try:
        for _message in context.engine.pull(name, auth, platform):
            if context.stop.is_set():
                raise ProviderError(f"The pull of image {name!r} was stopped.", path=path)
    except EngineRefusedError as fault:
        raise ProviderError(
            f"Image {name!r} is not on this machine and cannot be pulled: {fault.message}.",
            "Check the name, the network and registry_auth, or build or load the image first "
            "(`docker image ls`).",
            path=path,
        ) from None


def _is_platform(found: dict[str, Any], platform: str | None) -> bool:
    wanted = (platform or "").split("/")
    return wanted == [""] or [found["Os"], found["Architecture"]] == wanted[:2]


def _built_for_this_tag(found: Any, planned: Values) -> bool:
    if not found or not planned["triggers"]:
        return False
    key = ((found.get("Config") or {}).get("Labels") or {}).get(KEY_LABEL)
    name = planned["name"]
    return key in {name, name.rpartition(":")[2]}


def _build(context: ProviderContext, planned: Values) -> None:
    block, name = planned["build"][0], planned["name"]
    cli = builds.find_cli(cli_candidates())
    log = builds.log_file(name, block, log_directory())
    wanted = (planned.get("timeouts") or {}).get("create")
    builds.run(
        builds.BuildCommand(builds.command(cli, name, block), log),
        cli_environment(context.configuration),
        context.stop,
        timeout=durations.parse(wanted) / 1e9 if wanted else DEFAULT_TIMEOUT,
    )


def _refused(block: Values) -> list[ProviderError]:
    return [
        not_implemented(("build", name))
        for name, allowed in builds.REFUSED.items()
        if (not is_empty(block.get(name)) and block[name] not in allowed)
        or (name == "remove" and block.get(name) is False)
    ]


def _bad_secrets(block: Values) -> list[ProviderError]:
    return [
        ProviderError(
            f"Build secret {secret['id']!r} needs either src or env.", path=("build", "secrets")
        )
        for secret in block.get("secrets") or []
        if secret is not UNKNOWN and is_empty(secret["src"]) == is_empty(secret["env"])
    ]


def _bad_duration(text: str) -> list[ProviderError]:
    try:
        durations.parse(text)
    except ValueError as error:
        return [ProviderError(f"{error}.", path=("timeouts", "create"))]
    return []


def _in_use(context: ProviderContext, state: Values, fault: EngineRefusedError) -> ProviderError:
    users = context.engine.get(
        "/containers/json", all=True, filters=json.dumps({"ancestor": [state["image_id"]]})
    )
    names = sorted(item["Names"][0].lstrip("/") for item in users or [] if item["Names"])
    by = f" by {', '.join(names)}" if names else f": {fault.message}"
    return ProviderError(
        f"Image {state['name']!r} is still used{by}.",
        "Remove those containers first, or set force_remove or keep_locally.",
        path=("name",),
    )
