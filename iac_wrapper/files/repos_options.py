"""The keys of an entry of repos.yaml that say how a service runs, beyond what to run.

It must not know what is done with them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import yaml

from iac_wrapper.files.yaml_nodes import Reader
from iac_wrapper.model import options
from iac_wrapper.model.options import Options

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
    _check_what_it_is_for(said, mapping, reader)
    return Options(**said, tmpfs=_tmpfs(mapping.get("tmpfs"), reader))


def _check_what_it_is_for(
    said: Mapping[str, Any], mapping: Mapping[str, yaml.Node], reader: Reader
) -> None:
    """Refuse what has no meaning for a program that answers no requests.

    A port or a page that nobody asks would look as if the verdict rested on it.
    """
    run = said.get("run")
    if run not in ("worker", "job"):
        return
    for key, why in (
        ("port", f"a {run} answers no requests, so nobody would ask its port"),
        ("health", f"a {run} answers no requests, so nobody would ask for a page"),
        ("rollout", f"a {run} never runs twice, so no new version is tried beside the old one"),
    ):
        if key in mapping and said.get(key) != "replace":
            written = f"{key}: {reader.text(mapping[key], key)}"
            error = reader.error(
                mapping[key],
                why,
                found=f"run: {run} and {written}",
                expected=f"one of the two, or run: web and {written}",
            )
            error.next_step = f"delete `{written}`, or write `run: web` if it answers requests"
            raise error


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
