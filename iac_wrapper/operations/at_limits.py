"""Which limits of its containers a service has reached, and who made it so: a line each.

It must not know whether the service is good: one that is not may be so for that reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from iac_wrapper.adapters import engine_load
from iac_wrapper.adapters.engine import Container
from iac_wrapper.model.limits import CONTAINER_PROCESSES, MAX_PROCESSES
from iac_wrapper.operations.workspace import Workspace

NEARLY = 0.95
"""Of a limit on processes. Where new ones are refused, old ones end all the time."""

RECENT_SECONDS, LINES = 25, 200
"""How much of a sidecar's log is read: it says each ten seconds who holds too much."""

STRANGER = "somebody who is not of the project"

_CROWD = re.compile(r"connections: (\S+) holds (\d+) of \d+; at most (\d+) are taken, (\d+) from")
_OWN = re.compile(r"connections: the program holds (\d+); at most (\d+) are taken")
"""What runner/sidecar/crowd.py says."""


def at_limits(workspace: Workspace, envoy: str, app: Container | None) -> Iterator[str]:
    """Sentences on a service, without its name.

    Args:
        envoy: the name of its Envoy container.
        app: the container of its program.
    """
    engine = workspace.engine
    if app and app.running:
        has = engine_load.processes(engine, app.id)
        most = MAX_PROCESSES if app.foreign else CONTAINER_PROCESSES
        if has >= NEARLY * MAX_PROCESSES:
            yield (
                f"it has {has} processes and threads of at most {most}, its program of at most"
                f" {MAX_PROCESSES}: it gets no more (a fork bomb, or too many workers)"
            )
    said = engine_load.errors_since(engine, envoy, RECENT_SECONDS, LINES)
    if found := _CROWD.findall(said):
        address, has, most, share = found[-1]
        who = engine_load.holder(engine, workspace.project, address) or STRANGER
        yield (
            f"{who} ({address}) holds {has} connections to it and gets no more: at most {most}"
            f" are taken, {share} from one caller"
        )
    if found := _OWN.findall(said):
        has, most = found[-1]
        yield (
            f"its program holds {has} connections to its own sidecar of at most {most} and gets no"
            " more: it opens them faster than it ends them"
        )
