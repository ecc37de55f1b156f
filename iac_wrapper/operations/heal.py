"""Puts right what restart policies leave wrong. Idempotent; called by deploys and the keeper.

Docker does not retry an app whose Envoy container (the owner of its network namespace) is not up:
after a restart of the engine, which starts containers in no order, and when both die together. And
an app that was running when its Envoy container restarted sits in the old, dead namespace until it
restarts too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from iac_wrapper.adapters import engine_changes
from iac_wrapper.adapters.engine import Container
from iac_wrapper.adapters.workspace_lock import KEEPER
from iac_wrapper.errors import BusyError, CommandError, EngineError
from iac_wrapper.model import labels
from iac_wrapper.model.limits import CONTAINER_PROCESSES, MAX_PROCESSES
from iac_wrapper.operations import candidates, ingress, policy, recording, releases
from iac_wrapper.operations.workspace import Workspace

STOPPED = ("exited", "created", "dead")


def needs_healing(
    workspace: Workspace, found: Sequence[Container], ran: Collection[str] = ()
) -> bool:
    """Whether something stopped by itself or is left behind: a look, for which nobody need hold
    the lock.

    Args:
        found: the containers of the project.
        ran: as in `heal_accidents`.
    """
    containers = _to_run(workspace, found)
    by_id = {c.id: c for c in containers}
    wrong = any(_fell(c, _owner(c, by_id), ran) for c in containers)
    return wrong or ingress.is_stale(workspace)


def heal(
    workspace: Workspace, *, accidents_only: bool = False, ran: Collection[str] = ()
) -> list[str]:
    """Start what should run and is stopped, namespace owners first.

    One that cannot be started is a warning: the others are healed all the same.

    Args:
        accidents_only: leave alone what a person stopped; `ran` as in `heal_accidents`.

    Returns:
        What was done, a sentence each.
    """
    done = ["the ingress's files: written again"] if ingress.refresh(workspace) else []
    found = _containers(workspace)
    containers = _to_run(workspace, found)
    for container in containers:
        # Terraform's resource has no such attribute. What the kernel counts by uid is no use where
        # two images share one, and nothing against root.
        if container.max_processes != (most := most_processes(container)):
            engine_changes.bound(workspace.engine, container, most)
    if accidents_only:
        containers = [c for c in containers if not _was_stopped(c, ran)]
    owners = [c for c in containers if not _is_app(c) and c.state in STOPPED]
    for container in owners:
        done += _try(workspace, workspace.engine.start, container, "started")
    by_id = {c.id: c for c in (_containers(workspace) if owners else found)}
    for app in filter(_is_app, containers):
        owner = _owner(app, by_id)
        if owner and owner.running:
            done += _heal_app(workspace, app, owner)
    return done + policy.refresh(workspace)


def most_processes(container: Container) -> int:
    """To how many processes and threads the engine is to hold a container."""
    return MAX_PROCESSES if container.foreign else CONTAINER_PROCESSES


def heal_recorded(workspace: Workspace) -> list[str]:
    """`heal`, told in the ledger if the project is of this folder."""
    done = heal(workspace)
    if workspace.directory.is_dir():
        recording.note(workspace, "heal", done)
    return done


def heal_accidents(workspace: Workspace, ran: Collection[str] = ()) -> Sequence[Container] | None:
    """Heal what stopped by itself, unless another command is at work: containers are stopped on
    purpose then.

    The project is held only if there is something to do: who watches it all the time would now and
    then turn a deploy away.

    Args:
        ran: ids of containers that ran when the engine went away. An engine that was killed stops
            them at its next start and leaves them so (measured, 20.10), as if a person had.

    Returns:
        The containers of the project as they are then; None if it could not be done.
    """
    found = _containers(workspace)
    if not needs_healing(workspace, found, ran):
        return found
    try:
        with workspace.hold(KEEPER):
            done = heal(workspace, accidents_only=True, ran=ran)
            recording.note(workspace, "heal", done)
    except BusyError:
        return None
    return _containers(workspace)


def _containers(workspace: Workspace) -> list[Container]:
    return workspace.engine.containers(workspace.project)


def _to_run(workspace: Workspace, found: Sequence[Container]) -> list[Container]:
    """What should run: not what failed, nor a candidate that nobody calls, nor `iac proxy`'s."""
    stopped = releases.load_releases(workspace).stopped
    idle = {
        container.id
        for pair in candidates.among(workspace.project, found).values()
        if not pair.live
        for container in pair.containers
    }
    kept = (c for c in found if not (c.is_one_off or c.done) and c.service not in stopped)
    return [c for c in kept if c.id not in idle and c.role != labels.OPERATOR]


def _is_app(container: Container) -> bool:
    return container.role in ("app", f"{labels.CANDIDATE}app")


def _owner(app: Container, by_id: Mapping[str, Container]) -> Container | None:
    return by_id.get(app.network_mode.removeprefix("container:"))


def _was_stopped(container: Container, ran: Collection[str]) -> bool:
    return container.was_stopped and container.id not in ran


def _fell(container: Container, owner: Container | None, ran: Collection[str]) -> bool:
    """Whether it is not where it should be, and nobody wanted that. One whose owner is stopped
    cannot start."""
    if container.state in STOPPED:
        return not _was_stopped(container, ran) and (owner is None or owner.state not in STOPPED)
    return _left_behind(container, owner)


def _left_behind(app: Container, owner: Container | None) -> bool:
    """Whether an app runs in the namespace that its owner had before its last start."""
    return owner is not None and app.running and app.started_at < owner.started_at


def _heal_app(workspace: Workspace, app: Container, owner: Container) -> list[str]:
    if app.state in STOPPED:
        return _try(workspace, workspace.engine.start, app, "started")
    if _left_behind(app, owner):
        return _try(
            workspace, workspace.engine.restart, app, "restarted to join its Envoy's network"
        )
    return []


def _try(
    workspace: Workspace, act: Callable[[Container], None], container: Container, what: str
) -> list[str]:
    try:
        act(container)
    except EngineError:
        raise
    except CommandError as error:
        workspace.warn(f"{container.name} cannot be {what.partition(' ')[0]}: {error.found}")
        return []
    workspace.progress(f"{container.name}: {what}")
    return [f"{container.name}: {what}"]
