"""What repos.yaml says of how a service runs, beyond what to run. Values and their forms."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from iac_wrapper.errors import ConfigError

Run = Literal["web", "worker", "job"]
"""A server that answers requests, a program that only stays alive, one that runs to its end."""

Rollout = Literal["beside", "replace"]
"""Start a new version beside the old one, or stop the old one first."""

MIN_MEMORY_MB = 6
"""Docker refuses less."""

_UNITS = {"": 1, "m": 1, "mb": 1, "mib": 1, "g": 1024, "gb": 1024, "gib": 1024}
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True)
class Options:
    """Options of one service; None is the default of the setting or of the tool.

    `health` is the path that must answer with a status below 400; `health_timeout` and `stop_grace`
    are seconds; `memory_mb` is MiB; `cpus` is processors; `tmpfs` maps absolute paths of writable
    memory to MiB.
    """

    run: Run | None = None
    rollout: Rollout | None = None
    health: str | None = None
    health_timeout: int | None = None
    stop_grace: int | None = None
    memory_mb: int | None = None
    cpus: float | None = None
    tmpfs: Mapping[str, int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form of what was said; what was not is left out."""
        return {name: value for name, value in asdict(self).items() if value not in (None, {})}

    def written(self) -> dict[str, str]:
        """What was said by the keys of repos.yaml, with units as people write them."""
        said = self.to_dict()
        return {key: form(said[name]) for key, (name, form) in _FORMS.items() if name in said}


def written_size(mebibytes: int) -> str:
    """``512m`` or ``1g``, as `parse_memory` reads it."""
    return f"{mebibytes}m" if mebibytes % 1024 else f"{mebibytes // 1024}g"


def written_seconds(seconds: int) -> str:
    """``90s``, ``3m`` or ``1h``, as `parse_seconds` reads it."""
    for unit in ("h", "m"):
        if not seconds % _SECONDS[unit]:
            return f"{seconds // _SECONDS[unit]}{unit}"
    return f"{seconds}s"


def _written_tmpfs(sizes: Mapping[str, int]) -> str:
    return "{" + ", ".join(f"{path}: {written_size(sizes[path])}" for path in sorted(sizes)) + "}"


_FORMS: Mapping[str, tuple[str, Callable[[Any], str]]] = {
    "run": ("run", str),
    "rollout": ("rollout", str),
    "health": ("health", str),
    "health_timeout": ("health_timeout", written_seconds),
    "stop_grace": ("stop_grace", written_seconds),
    "memory": ("memory_mb", written_size),
    "cpus": ("cpus", "{:g}".format),
    "tmpfs": ("tmpfs", _written_tmpfs),
}
"""By key: the field of `Options`, and how its value is written."""


def parse_run(text: str) -> Run:
    """``web``, ``worker`` or ``job``; raises ConfigError for anything else."""
    return _one_of("run", text, Run)  # type: ignore[no-any-return]


def parse_rollout(text: str) -> Rollout:
    """``beside`` or ``replace``; raises ConfigError for anything else."""
    return _one_of("rollout", text, Rollout)  # type: ignore[no-any-return]


def parse_path(text: str) -> str:
    """A path to request, query allowed: printable ASCII from ``/`` on.

    Raises:
        ConfigError: it is not.
    """
    if re.fullmatch(r"/[!-~]*", text) and "#" not in text:
        return text
    raise _bad("health", text, "a path such as /healthz", "/healthz")


def parse_memory(text: str, what: str = "memory", least: int = MIN_MEMORY_MB) -> int:
    """MiB from ``512``, ``512m`` or ``1g``.

    Raises:
        ConfigError: not of that form, or less than `least`.
    """
    match = re.fullmatch(r"([0-9]{1,7})([a-z]*)", text.lower())
    if match and match[2] in _UNITS and least <= (size := int(match[1]) * _UNITS[match[2]]):
        return size
    example = "512m" if what == "memory" else "{/app/cache: 64m}"
    raise _bad(what, text, f"MiB or a size such as 512m or 1g, at least {least}m", example)


def parse_seconds(text: str, what: str) -> int:
    """Seconds, 1 to 3600, from ``90``, ``90s`` or ``2m``.

    Raises:
        ConfigError: not of that form.
    """
    match = re.fullmatch(r"([0-9]{1,4})([smh]?)", text.lower())
    if match and 1 <= (seconds := int(match[1]) * _SECONDS[match[2]]) <= 3600:
        return seconds
    raise _bad(what, text, "seconds from 1 to 3600, such as 90 or 2m", "90")


def parse_cpus(text: str) -> float:
    """Processors, at least 0.01 (what Docker takes), such as ``0.5`` or ``2``.

    Raises:
        ConfigError: not of that form.
    """
    if re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,2})?", text) and float(text) >= 0.01:
        return float(text)
    raise _bad("cpus", text, "a number of processors such as 0.5 or 2", "0.5")


def parse_mount_path(text: str) -> str:
    """An absolute path in the container, in its shortest form, clear of what the tool puts there.

    Raises:
        ConfigError: it is not.
    """
    plain = re.fullmatch(r"(/[\w.-]+)+", text) and not {".", ".."} & set(text.split("/"))
    if plain and not re.match(
        r"/(app|usr|lib|lib64|bin|sbin|etc|opt|run)$|/(proc|sys|dev|venv|opt/iac|run/iac)(/|$)",
        text,
    ):
        return text
    expected = "an absolute path such as /tmp or /app/cache, without a final slash"
    raise _bad("tmpfs", text, expected, "{/app/cache: 64m}")


def _one_of(what: str, text: str, kind: Any) -> Any:
    if text in get_args(kind):
        return text
    raise _bad(what, text, "one of " + ", ".join(get_args(kind)), get_args(kind)[0])


def _bad(what: str, text: str, expected: str, example: str) -> ConfigError:
    return ConfigError(
        f"bad value of {what}",
        found=repr(text),
        expected=expected,
        next_step=f"write for instance {what}: {example}",
    )
