"""One planned change of a container or network, attribute by attribute, from Terraform's own words.

Read from ``terraform show -json`` of a saved plan, whose form is documented at
developer.hashicorp.com/terraform/internals/json-format. It must not know what services are for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from iac_wrapper.model import labels
from iac_wrapper.model.plan import Action, TerraformChange
from iac_wrapper.model.users import BLOCK, Users

_ACTIONS: Mapping[tuple[str, ...], Action] = {
    ("create",): "create",
    ("update",): "update",
    ("delete",): "delete",
    ("delete", "create"): "replace",
    ("create", "delete"): "replace",
}


@dataclass(frozen=True)
class ResourceChange:
    """What happens to the container or network with this role of this service.

    `attributes` differ, each with its value before and after (None where that is known only after
    the apply). `gone`: it was removed outside of Terraform; `edited` attributes were changed there.
    `image` is what became there of the name of the image that it runs.
    """

    service: str
    role: str
    action: Action
    attributes: Mapping[str, tuple[Any, Any]]
    gone: bool = False
    edited: frozenset[str] = frozenset()
    image: ImageDrift | None = None


@dataclass(frozen=True)
class ImageDrift:
    """A name of an image that was removed (`gone`), or given to another image."""

    name: str
    gone: bool


def resource_changes(shown: Mapping[str, Any]) -> tuple[ResourceChange, ...]:
    """The changes of a plan, as ``terraform show -json`` shows it."""
    drift = {item["address"]: item["change"] for item in shown.get("resource_drift", ())}
    images = dict(_image_drifts(shown))
    found = (
        _change(item["change"], drift.get(item["address"]), images)
        for item in shown.get("resource_changes", ())
        if item["type"] in ("docker_container", "docker_network")
    )
    routes = (
        _routes(item["change"])
        for item in shown.get("resource_changes", ())
        if item["type"] == labels.DATA
    )
    return tuple(change for change in (*found, *routes) if change)


def outline(shown: Mapping[str, Any], owners: Mapping[str, Users]) -> str:
    """What two plans that do the same have in common, as JSON: every change and what it makes.

    Uids of `owners` are named by whose they are: which ones a new service gets depends on the other
    projects of the engine.
    """
    changes = [
        [item["address"], change["actions"], change["after"], change.get("after_unknown")]
        for item in shown.get("resource_changes", ())
        if (change := item["change"])["actions"] not in (["no-op"], ["read"])
    ]
    text = json.dumps([changes, shown.get("output_changes", {})], sort_keys=True)
    uids = {
        str(users.base + at): f"{name}+{at}"
        for name, users in owners.items()
        for at in range(BLOCK)
    }
    return re.sub(r"\b\d{5}\b", lambda found: uids.get(found[0], found[0]), text)


def others(shown: Mapping[str, Any], *, record: str) -> tuple[TerraformChange, ...]:
    """What a plan changes beside the project: resources and outputs that somebody added.

    Args:
        shown: the plan, as ``terraform show -json`` shows it.
        record: the output that is the project's own.
    """
    resources = (
        (item["address"], item["change"])
        for item in shown.get("resource_changes", ())
        if not labels.is_own(
            item["type"], item["change"]["after"] or item["change"]["before"] or {}
        )
    )
    outputs = (
        (f"output.{name}", change)
        for name, change in shown.get("output_changes", {}).items()
        if name != record
    )
    return tuple(
        TerraformChange(address, action)
        for address, change in (*resources, *outputs)
        if (action := _ACTIONS.get(tuple(change["actions"])))
    )


def _image_drifts(shown: Mapping[str, Any]) -> Iterator[tuple[str, ImageDrift]]:
    """What became of the names of images, by the ids that these had."""
    for item in shown.get("resource_drift", ()):
        if item["type"] != "docker_image":
            continue
        before, after = item["change"]["before"] or {}, item["change"]["after"]
        if after is None or after.get("image_id") != before.get("image_id"):
            drift = ImageDrift(before.get("name", ""), gone=after is None)
            yield before.get("image_id", ""), drift


def _change(
    change: Mapping[str, Any], drift: Mapping[str, Any] | None, images: Mapping[str, ImageDrift]
) -> ResourceChange | None:
    action = _ACTIONS.get(tuple(change["actions"]))
    gone = drift is not None and drift["after"] is None
    known = labels.of(change["before"] or change["after"] or {})
    if action is None or labels.SERVICE not in known:
        return None
    return ResourceChange(
        service=known[labels.SERVICE],
        role=known.get(labels.ROLE, ""),
        action=action,
        attributes=dict(_differences(change, action)),
        gone=gone,
        edited=frozenset(_edited(drift)) if drift and not gone else frozenset(),
        image=images.get((change["before"] or {}).get("image", "")),
    )


def _routes(change: Mapping[str, Any]) -> ResourceChange | None:
    """The ingress's routes: another resource each time, for people a change in place."""
    action = _ACTIONS.get(tuple(change["actions"]))
    before, after = (labels.of_data(change[when] or {}) for when in ("before", "after"))
    known = after or before
    if action is None or labels.SERVICE not in known or known[labels.ROLE] == labels.POLICIES:
        return None  # what a change of policies is, the locks say
    return ResourceChange(
        service=known[labels.SERVICE],
        role=known[labels.ROLE],
        action="update" if action == "replace" else action,
        attributes={"urls": (before.get("urls", {}), after.get("urls", {}))},
    )


def _differences(
    change: Mapping[str, Any], action: Action
) -> Iterator[tuple[str, tuple[Any, Any]]]:
    if action not in ("update", "replace"):
        return
    before, after = change["before"], change["after"]
    unknown = change.get("after_unknown") or {}
    forcing = {path[0] for path in change.get("replace_paths") or ()}
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        # What a new container fills in itself is empty or unknown here: no difference that counts.
        if name in forcing or (old != new and new is not None and unknown.get(name) is not True):
            yield name, (old, new)


def _edited(drift: Mapping[str, Any]) -> Iterator[str]:
    before, after = drift["before"] or {}, drift["after"] or {}
    return (name for name in after if before.get(name) != after.get(name))
