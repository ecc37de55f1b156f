"""What a container printed last, from the engine."""

from __future__ import annotations

from iac_wrapper.adapters.engine import Container
from iac_wrapper.errors import CommandError
from iac_wrapper.operations.workspace import Workspace


def last_lines(workspace: Workspace, container: Container | None, number: int) -> list[str]:
    """Up to `number` lines, redacted; none without a container.

    An engine that does not give them is a line as well: what they are for goes on without them.
    """
    if container is None:
        return []
    try:
        text = workspace.engine.logs(container.id, number)
    except CommandError as error:
        return [f"(the log cannot be read: {error.message})"]
    redact = workspace.redactor().lines()
    # Not splitlines: a carriage return inside a line may be what is wrong.
    lines = text.rstrip("\n").split("\n") if text else []
    return [redact(line.rstrip("\r")) for line in lines]
