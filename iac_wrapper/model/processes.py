"""`processes:` of an entry: what is written of each, and what each has from its entry. Values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

KEY = "processes"
COMMAND = "command"
"""The key of a process that says what `entrypoint` says of an entry."""

PROCFILE = "Procfile"
"""In place of a command: the line of the process's name in the repository's Procfile."""

_OF_THE_ENTRY = frozenset(
    (
        *("slug", "name", "subdir", "lfs", "submodules", "packages", "dependencies"),
        *("entrypoint", "image", "build", KEY, "release", "schedule"),
    )
)
"""Keys that say what the one image is, or that are done once for it."""

_NOT_INHERITED = frozenset(
    (
        *("entrypoint", "run", "rollout", "port", "health", "expose", "tcp", "volumes"),
        *(COMMAND, KEY, "packages", "dependencies", "release", "schedule"),
    )
)
"""What the entry's own program has, and another program of its image has not."""


def own_keys(keys: Iterable[str]) -> tuple[str, ...]:
    """Those of an entry's keys that a process may have of its own, after its command."""
    return (COMMAND, *(key for key in keys if key not in {*_OF_THE_ENTRY, COMMAND}))


def is_inherited(key: str) -> bool:
    """Whether a process has what its entry says by this key."""
    return key not in _NOT_INHERITED


def service(entry: str, process: str) -> str:
    """The name of the service that a process of the entry `entry` is."""
    return f"{entry}-{process}"


def schema(keys: Iterable[str]) -> dict[str, Any]:
    """What an editor checks of a process's own mapping."""
    named = {key: {"$ref": f"#/definitions/key-{key}"} for key in own_keys(keys) if key != COMMAND}
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {COMMAND: _COMMAND, **named},
        "allOf": [{"$ref": "#/definitions/idle"}],
    }


_NAME = r"^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$"
_COMMAND = {"$ref": "#/definitions/key-entrypoint"}

SCHEMA = {
    "anyOf": [
        {
            "type": "object",
            "propertyNames": {"pattern": _NAME},
            "additionalProperties": {"anyOf": [_COMMAND, {"$ref": "#/definitions/process"}]},
        },
        {"type": "array", "minItems": 1, "items": {"type": "string", "pattern": _NAME}},
    ]
}
