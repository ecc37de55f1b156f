"""A plan that was saved to be applied later, and only while all that it was made from is the same.
Values, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

PartKind = Literal["list", "lock", "state", "value", "image", "tool"]
"""What a plan is made from: files of entries, the lock beside them, Terraform's state, secret
values, images that are there, and this tool."""

Part = tuple[PartKind, str]
"""A kind and the name of one of it: a path, ``<variable> of <service>``, the name of an image."""


@dataclass(frozen=True)
class PlanRequest:
    """What a person asked a plan of: absolute paths of lists, else slugs relative to `folder`."""

    files: tuple[str, ...]
    slugs: tuple[str, ...]
    folder: str
    environment: str | None = None
    locked: bool = False
    offline: bool = False


@dataclass(frozen=True)
class SavedPlan:
    """A plan in a file.

    `lock` is the text of the lock that it brings, `tool` the version that made it. `digests` are of
    what it was made from, `outcome` is that of what a deploy would do, which follows from these and
    from main.py, settings and engine; all are keyed. `shown` is what `iac plan --json` told of it.
    """

    project: str
    tool: str
    request: PlanRequest
    lock: str
    digests: Mapping[Part, str]
    outcome: str
    shown: Mapping[str, Any]


def moved(saved: SavedPlan, now: Mapping[Part, str]) -> list[str]:
    """What is not as it was, in words; what is new since is the lock's to tell."""
    return [
        _WORDS[kind].format(name=name, tool=saved.tool)
        for (kind, name), digest in saved.digests.items()
        if now.get((kind, name), "") != digest
    ]


_WORDS: Mapping[PartKind, str] = {
    "list": "{name}",
    "lock": "{name}",
    "state": "what is deployed",
    "value": "the value of {name}",
    "image": "the image {name}",
    "tool": "iac itself, which was {tool}",
}
