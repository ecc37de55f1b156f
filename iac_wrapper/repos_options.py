"""The keys of an entry of repos.yaml that say how a service runs, beyond what to run.

It must not know what is done with them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import yaml

from iac_wrapper.model import options
from iac_wrapper.model.options import Options
from iac_wrapper.yaml_nodes import Reader

_SCALARS: Mapping[str, tuple[str, Callable[[str], object], str]] = {
    "run": ("run", options.parse_run, "web, worker or job"),
    "rollout": ("rollout", options.parse_rollout, "beside or replace"),
    "health": ("health", options.parse_path, "a path such as /healthz"),
    "health_timeout": (
        "health_timeout",
        partial(options.parse_seconds, what="health_timeout"),
        "seconds, such as 90",
    ),
    "stop_grace": (
        "stop_grace",
        partial(options.parse_seconds, what="stop_grace"),
        "seconds, such as 30",
    ),
    "memory": ("memory_mb", options.parse_memory, "a size such as 512m"),
    "cpus": ("cpus", options.parse_cpus, "a number such as 0.5"),
}
"""Keys with one scalar: the field of `Options`, its parser, and what is expected, for people."""

KEYS = (*_SCALARS, "tmpfs")


def read(mapping: Mapping[str, yaml.Node], reader: Reader) -> Options:
    """The options among the keys of one entry.

    Raises:
        ConfigError: a value has not the form of its key, or two contradict each other.
    """
    said: dict[str, Any] = {}
    for key, (name, parse_value, expected) in _SCALARS.items():
        if key in mapping:
            with reader.at(mapping[key]):
                said[name] = parse_value(reader.text(mapping[key], key, expected=expected))
    if "health" in said and said.get("run") in {"worker", "job"}:
        raise reader.error(
            mapping["health"],
            f"a {said['run']} is not asked for a page",
            found=f"run: {said['run']} and health: {said['health']}",
            expected="one of the two, or run: web",
        )
    return Options(**said, tmpfs=_tmpfs(mapping.get("tmpfs"), reader))


def _tmpfs(node: yaml.Node | None, reader: Reader) -> dict[str, int]:
    if node is None:
        return {}
    if not isinstance(node, yaml.MappingNode):
        raise reader.error(
            node, "tmpfs is not a mapping", found=reader.show(node), expected="PATH: SIZE lines"
        )
    sizes = {}
    for path, value_node in reader.mapping(node, None, "tmpfs").items():
        with reader.at(value_node):
            size = reader.text(value_node, path, expected="a size such as 256m")
            sizes[options.parse_mount_path(path)] = options.parse_memory(size, "tmpfs", least=1)
    return sizes
