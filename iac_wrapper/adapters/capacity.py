"""What the engine's machine has left, as far as this machine can tell."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from iac_wrapper.adapters.engine import Engine

_PROC = Path("/proc")


@dataclass(frozen=True)
class FreeCapacity:
    """MiB of memory and of disk for images, and how many processes and threads; None: unknown.

    `tasks_limit` is the kernel setting that `tasks` ends at.
    """

    memory: int | None
    disk: int | None
    tasks: int | None
    tasks_limit: str


def free_capacity(engine: Engine) -> FreeCapacity:
    """Look at this machine, which must be the engine's.

    Raises:
        CommandError, EngineError: see `Engine.call`.
    """
    tasks, limit = free_tasks(_PROC)
    return FreeCapacity(
        memory=available_memory(_PROC),
        disk=disk_left(engine_root(engine)),
        tasks=tasks,
        tasks_limit=limit,
    )


def available_memory(proc: Path) -> int | None:
    """MiB that programs can still have, without swapping; None: unknown."""
    for line in _lines(proc / "meminfo"):
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) // 1024
    return None


def free_tasks(proc: Path) -> tuple[int | None, str]:
    """How many processes and threads more there may be (None: unknown), and the kernel setting
    that ends them."""
    limits = {name: _number(proc / "sys/kernel" / name) for name in ("pid_max", "threads-max")}
    known = {name: value for name, value in limits.items() if value is not None}
    lowest = min(known, key=lambda name: known[name], default="")
    running = _running(proc / "loadavg")
    return (known[lowest] - running if known and running is not None else None), lowest


def engine_root(engine: Engine) -> Path:
    """Where the engine keeps images, on its machine; relative if it does not say.

    Raises:
        CommandError, EngineError: see `Engine.call`.
    """
    return Path(engine.call(lambda api: str(api.info().get("DockerRootDir", ""))))


def disk_left(folder: Path) -> int | None:
    """MiB that are free where `folder` lies; None where it cannot be seen."""
    left = bytes_left(folder)
    return left // 2**20 if left is not None else None


def bytes_left(folder: Path) -> int | None:
    """The same in bytes."""
    try:
        return shutil.disk_usage(folder).free if folder.is_absolute() else None
    except OSError:
        return None


def short_of_disk(left: int | None, needed: int) -> str:
    """A sentence with the next command if `left` MiB will not do for images; else empty."""
    if left is None or left >= needed:
        return ""
    return (
        f"only {left} MiB are free where Docker keeps images, and builds need about {needed} MiB;"
        " `docker builder prune` and `docker image prune` free space"
    )


def _running(path: Path) -> int | None:
    """``0.1 0.2 0.3 1/456 789``: all tasks of the system are the number after the slash."""
    fields = " ".join(_lines(path)).split()
    return int(fields[3].partition("/")[2]) if len(fields) > 3 else None


def _number(path: Path) -> int | None:
    lines = _lines(path)
    return int(lines[0]) if lines else None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").splitlines()
    except OSError:
        return []
