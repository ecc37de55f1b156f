"""Exec: a command in the running container of a service, as its program would run it."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from iac_wrapper.adapters import engine_exec
from iac_wrapper.adapters.engine import Container
from iac_wrapper.errors import UnhealthyError
from iac_wrapper.model import labels, one_off, users
from iac_wrapper.operations import parked
from iac_wrapper.operations.carrier import carrier
from iac_wrapper.operations.run import Talk
from iac_wrapper.operations.workspace import Workspace


def execute(
    workspace: Workspace, service: str, command: Sequence[str], *, terminal: bool, talk: Talk
) -> int:
    """Run a command in the container that has the traffic of `service`.

    With the runner in it the command has the program's whole environment; it is ended if `talk`
    is cut off.

    Returns:
        Its exit code.

    Raises:
        ConfigError: no such service.
        UnhealthyError: its container is not running.
        CommandError: the engine refused.
    """
    container = _running(workspace, service)
    engine, identifier = workspace.engine, secrets.token_hex(8)
    entrypoint, present = engine_exec.entrypoint_and_labels(engine, container.id)
    ours = one_off.has_runner(entrypoint)
    user = users.program_of(present[labels.UIDS]) if ours else ""
    variables = {one_off.ID_VARIABLE: identifier}
    if terminal and (kind := workspace.settings.environment.get("TERM")):
        variables["TERM"] = kind
    argv = one_off.as_program(command) if ours else command
    started = engine_exec.start_exec(
        engine, container.id, argv, environment=variables, terminal=terminal, user=user
    )
    try:
        talk(started.connection)
    except BaseException:
        # First, or the engine (20.10) waits for us to read all before it notes any other end.
        started.connection.close()
        if ours:  # it would go on, read by nobody
            engine_exec.run_exec(engine, container.id, one_off.ending(identifier), user=user)
        raise
    started.connection.close()
    return engine_exec.exit_code(engine, started.id)


def _running(workspace: Workspace, service: str) -> Container:
    """The app's container that callers of the service reach."""
    names = {app.name for app in workspace.deployed_lock().apps}
    found = carrier(workspace, service, "app")
    if not found and service not in names:
        raise parked.unknown_service(workspace, service, names)
    if not found or not found.running:
        raise UnhealthyError(
            f"service {service} is not running",
            found=f"its container is {found.state}" if found else "it has no container",
            expected="a running container",
            next_step=f"iac health says why; iac run {service} -- COMMAND needs no running one",
        )
    return found
