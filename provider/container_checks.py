"""docker_container: what is wrong with a configuration (values may be unknown)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from . import durations
from .problems import Path, ProviderError, not_implemented
from .values import UNKNOWN, Values, has_unknown, is_empty

REFUSED = ("attach", "logs", "gpus")

CHOICES = {
    "restart": r"no|on-failure|always|unless-stopped",
    "cgroupns_mode": r"private|host",
    "cpu_set": r"\d+([,-]\d+)*",
    "cpus": r"\d+(\.\d+)?|\.\d+",
    "stop_signal": r"SIG[A-Z0-9+-]+|[A-Z][A-Z0-9]*|\d+",
}
"""Attribute to the pattern its value must match."""

MINIMA = {
    "memory": 0,
    "memory_swap": -1,
    "shm_size": 0,
    "cpu_shares": 0,
    "stop_timeout": 0,
    "destroy_grace_seconds": 0,
    "max_retry_count": 0,
    "wait_timeout": 1,
}
"""Attribute to the least value it may have."""


def check(config: Values) -> list[ProviderError]:
    """Every problem of a configuration."""
    return [*_scalars(config), *_networks(config), *_blocks(config)]


def _scalars(config: Values) -> Iterator[ProviderError]:
    for name in REFUSED:
        if not is_empty(config.get(name)):
            yield not_implemented((name,))
    for name, pattern in CHOICES.items():
        value = config.get(name)
        if isinstance(value, str) and value and not re.fullmatch(pattern, value):
            yield _bad((name,), value, f"must match {pattern}")
    for name, least in MINIMA.items():
        value = config.get(name)
        if isinstance(value, int) and value < least:
            yield _bad((name,), value, f"must be at least {least}")
    for index, word in enumerate(config.get("command") or [] if _known(config, "command") else []):
        if word == "":
            yield _bad(("command", index), word, "must not be empty")


def _known(config: Values, name: str) -> bool:
    return config.get(name) is not UNKNOWN


def _networks(config: Values) -> Iterator[ProviderError]:
    mode = config.get("network_mode")
    if not isinstance(mode, str) or is_empty(config.get("networks_advanced")):
        return
    if mode in {"host", "none"} or mode.startswith("container:"):
        yield ProviderError(
            f"A container with network_mode {mode!r} cannot join networks_advanced.",
            "Remove one of the two.",
            path=("networks_advanced",),
        )


def _blocks(config: Values) -> Iterator[ProviderError]:
    for block in _each(config, "capabilities"):
        yield from _capabilities(block)
    for block in _each(config, "mounts"):
        yield from _mount(block)
    for block in _each(config, "upload"):
        yield from _upload(block)
    for block in _each(config, "volumes"):
        if is_empty(block["container_path"]) and is_empty(block["from_container"]):
            yield ProviderError(
                "A volumes block needs container_path or from_container.", path=("volumes",)
            )
    for index, block in enumerate(_each(config, "ports")):
        yield from _port(index, block)
    for block in _each(config, "healthcheck"):
        for name in ("interval", "timeout", "start_period", "start_interval"):
            yield from _duration(("healthcheck", 0, name), block[name])
        if not is_empty(block["start_interval"]) and block["start_interval"] != "0s":
            yield not_implemented(("healthcheck", 0, "start_interval"))


def _each(config: Values, name: str) -> Iterable[Values]:
    blocks = config.get(name)
    return [] if blocks is UNKNOWN else [item for item in blocks or [] if item is not UNKNOWN]


def _capabilities(block: Values) -> Iterator[ProviderError]:
    for kind in ("add", "drop"):
        names = block[kind]
        for name in [] if names is UNKNOWN else names or []:
            if isinstance(name, str) and name.upper() == "CAP_ALL":
                yield _bad(("capabilities", kind), name, "must be ALL: Docker knows no CAP_ALL")


def _mount(block: Values) -> Iterator[ProviderError]:
    kind = block["type"]
    if kind is not UNKNOWN and kind not in {"bind", "volume", "tmpfs"}:
        yield _bad(("mounts", "type"), kind, "must be bind, volume or tmpfs")
    if kind == "bind" and is_empty(block["source"]):
        yield ProviderError("A bind mount needs a source.", path=("mounts", "source"))
    for name, owner in (
        ("bind_options", "bind"),
        ("volume_options", "volume"),
        ("tmpfs_options", "tmpfs"),
    ):
        if not is_empty(block[name]) and kind is not UNKNOWN and kind != owner:
            yield ProviderError(f"{name} does not fit a mount of type {kind}.", path=("mounts",))
    for options in block["volume_options"] or []:
        if not is_empty(options["subpath"]):
            yield not_implemented(("mounts", "volume_options", "subpath"))


def _upload(block: Values) -> Iterator[ProviderError]:
    kinds = ("content", "content_base64", "source")
    if not has_unknown([block[k] for k in kinds]) and sum(block[k] is not None for k in kinds) != 1:
        yield ProviderError(
            "An upload block needs exactly one of content, content_base64 and source.",
            path=("upload",),
        )
    mode = block["permissions"]
    if isinstance(mode, str) and mode and not re.fullmatch(r"[0-7]{3,4}", mode):
        yield _bad(("upload", "permissions"), mode, "must be octal, such as 0644")


def _port(index: int, block: Values) -> Iterator[ProviderError]:
    for name in ("internal", "external"):
        value = block[name]
        if isinstance(value, int) and not 0 <= value <= 65535:
            yield _bad(("ports", index, name), value, "must be a port number")
    if isinstance(block["protocol"], str) and block["protocol"] not in {"tcp", "udp", "sctp"}:
        yield _bad(("ports", index, "protocol"), block["protocol"], "must be tcp, udp or sctp")


def _duration(path: Path, value: Any) -> Iterator[ProviderError]:
    try:
        durations.parse(value if isinstance(value, str) else "")
    except ValueError as error:
        yield ProviderError(f"{error}.", path=path)


def _bad(path: Path, value: Any, rule: str) -> ProviderError:
    name = ".".join(str(step) for step in path)
    return ProviderError(f"{name} is {value!r}; it {rule}.", path=path)
