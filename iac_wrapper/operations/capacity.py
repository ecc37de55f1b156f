"""Says before a deploy what the machine will run out of; the failure itself would name no cause.

What the kernel counts by uid (inotify, processes of one user) is no matter here: every service has
uids of its own.
"""

from __future__ import annotations

from collections.abc import Iterator

from iac_wrapper.adapters import capacity
from iac_wrapper.adapters.capacity import FreeCapacity
from iac_wrapper.operations.workspace import Workspace

SERVICE_MB = 70
"""Measured, idle, as the cgroups say: 25 MB for Envoy and its PID 1, 45 MB for the runner."""

SERVICE_TASKS = 22
"""Measured: 9 threads in an idle Envoy container, 12 in a runner, and the program's first."""

IMAGE_MB = 1024
"""A base, a dependency layer of some size, and BuildKit's own copies while it works."""


def warn(workspace: Workspace, services: int, builds: int) -> None:
    """Warn of what will not do for `services` more services and `builds` image builds."""
    if workspace.engine_is_local:
        for sentence in shortages(capacity.free_capacity(workspace.engine), services, builds):
            workspace.warn(sentence)


def shortages(left: FreeCapacity, services: int, builds: int) -> Iterator[str]:
    """A sentence each, with the next command in it."""
    memory, tasks = services * SERVICE_MB, services * SERVICE_TASKS
    if left.memory is not None and memory > left.memory:
        yield (
            f"{services} more services need about {memory} MiB even when idle, and"
            f" {left.memory} MiB are free; `docker stats` shows what uses the rest"
        )
    if left.tasks is not None and tasks > left.tasks:
        yield (
            f"{services} more services have about {tasks} processes and threads, and the kernel"
            f" allows {left.tasks} more; `sudo sysctl kernel.{left.tasks_limit}=131072` raises that"
        )
    if builds and (sentence := capacity.short_of_disk(left.disk, IMAGE_MB)):
        yield sentence
