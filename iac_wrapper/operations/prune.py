"""What a deploy of a whole list would remove, and whether somebody agreed to that."""

from __future__ import annotations

from iac_wrapper.errors import ConfigError
from iac_wrapper.model.intent import Intent
from iac_wrapper.operations import inventory
from iac_wrapper.operations.workspace import Workspace


class PruneError(ConfigError):
    """Nobody agreed to the removal of `services`; nothing has changed."""

    def __init__(self, intent: Intent, project: str, services: tuple[str, ...]) -> None:
        super().__init__(
            f"this would remove services that {intent.list_name} does not list",
            where=f"project {project}",
            found=", ".join(services),
            expected=f"each of them in {intent.list_name}, or --prune",
            next_step=f"iac deploy {intent.arguments} --prune --project {project} removes them",
        )
        self.services = services


def check(workspace: Workspace, intent: Intent) -> None:
    """Refuse to remove what nobody said may go. Call it before anything changes.

    Raises:
        PruneError: `intent` leaves out services that run.
    """
    gone = removals(workspace, intent)
    if intent.additive:
        for name in gone:  # with slugs alone, what an unfinished deploy left is all that can go
            workspace.warn(f"{name} is removed: a deploy that did not finish left it")
    elif not intent.prune and not set(gone) <= set(intent.agreed_removals):
        raise PruneError(intent, workspace.project, gone)


def removals(workspace: Workspace, intent: Intent) -> tuple[str, ...]:
    """The services that are there and that `intent` leaves out, sorted."""
    listed = {spec.name for spec in intent.specs}
    if intent.additive and (lock := workspace.applied_lock()):
        listed |= {app.name for app in lock.all_apps}
    return tuple(name for name in inventory.services(workspace) if name not in listed)
