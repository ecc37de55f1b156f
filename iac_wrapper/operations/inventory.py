"""What there is of a project: on the engine by its labels, in the state, and on disk."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from iac_wrapper.adapters import state
from iac_wrapper.adapters.workspace_lock import LOCK_NAME
from iac_wrapper.errors import ConfigError
from iac_wrapper.operations.workspace import Workspace


class UnknownProjectError(ConfigError):
    """Nothing on this engine and nothing in this folder belongs to the project."""


@dataclass(frozen=True)
class Inventory:
    """Names of what there is; a destroy leaves `volumes` unless it is told. `others` are resources
    of the stack that somebody added; `files`: keys, state or logs lie in the folder. Images alone
    are no project: a destroy leaves the last of each service, with `spares_images`.
    """

    services: tuple[str, ...]
    networks: tuple[str, ...]
    volumes: tuple[str, ...]
    images: tuple[str, ...]
    files: bool
    others: tuple[str, ...] = ()
    spares_images: bool = True

    @property
    def empty(self) -> bool:
        """True if nothing anywhere belongs to the project."""
        return not (self._removed or self.volumes)

    @property
    def only_volumes(self) -> bool:
        """True if a destroy that keeps data has nothing to do."""
        return bool(self.volumes) and not self._removed

    @property
    def _removed(self) -> bool:
        """Whether there is what every destroy removes."""
        return bool(self.services or self.networks or self.others or self.files)

    def describe(self, *, volumes: bool) -> str:
        """What goes, and which data stays; with `volumes` that goes, too."""
        stay = ", the last of each service stays for a next deploy" if self.spares_images else ""
        kinds = {
            "services": self.services,
            "networks": self.networks,
            f"images{stay}": self.images,
            "of your own in main.py": self.others,
            "volumes, with all their data" if volumes else "volumes stay": self.volumes,
        }
        named = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in kinds.items() if names)
        return named or "nothing but files: keys, state or logs"


def take(workspace: Workspace) -> Inventory:
    """Look at everything that carries the project's label or lies in its folders.

    Raises:
        EngineError: the engine does not answer.
    """
    engine, project = workspace.engine, workspace.project
    return Inventory(
        services=_services_in_any_state(workspace),
        networks=tuple(engine.networks(project)),
        volumes=tuple(engine.volumes(project)),
        images=tuple(engine.image_tags(project)),
        files=_has_files(workspace),
        others=_others(workspace),
        spares_images=bool(workspace.settings.spare_images and workspace.settings.spare_days),
    )


def known(workspace: Workspace) -> Inventory:
    """`take`, for a project that there must be.

    Raises:
        UnknownProjectError: there is nothing of it; names the projects that there are.
        EngineError: the engine does not answer.
    """
    found = take(workspace)
    if not found.empty:
        return found
    projects = {*workspace.engine.projects(), *_with_state(workspace)}
    raise UnknownProjectError(
        f"there is no project {workspace.project}",
        found=f"the projects {', '.join(sorted(projects))}" if projects else "no projects at all",
        expected="a project of this engine or of this folder",
        next_step="name one with --project",
    )


def services(workspace: Workspace) -> tuple[str, ...]:
    """The services of the last apply, stopped ones included, and those that have a container all
    the same: a deploy that was cut off may have left some. Sorted.
    """
    lock = workspace.applied_lock()
    found = {app.name for app in lock.all_apps} if lock else set()
    return tuple(sorted({*found, *_with_container(workspace)}))


def _services_in_any_state(workspace: Workspace) -> tuple[str, ...]:
    """A state that cannot be read must not stand in the way of removing what there is."""
    try:
        return services(workspace)
    except ConfigError:
        return tuple(sorted(set(_with_container(workspace))))


def _others(workspace: Workspace) -> tuple[str, ...]:
    try:
        return state.others(workspace.layout.state(workspace.project))
    except ConfigError:  # as above
        return ()


def _with_container(workspace: Workspace) -> Iterable[str]:
    containers = workspace.engine.containers(workspace.project)
    return (c.service for c in containers if c.role in ("app", "envoy") and c.service)


def _has_files(workspace: Workspace) -> bool:
    """A folder that holds nothing but the lock is what a command leaves that found nothing."""
    layout, project = workspace.layout, workspace.project
    folders = (
        layout.certificates(project),
        layout.project_env_files(project),
        layout.contexts(project),
    )
    own = workspace.directory.iterdir() if workspace.directory.is_dir() else ()
    return any(path.name != LOCK_NAME for path in own) or any(path.exists() for path in folders)


def _with_state(workspace: Workspace) -> Iterable[str]:
    states = workspace.directory.parent.glob("*/terraform.tfstate")
    return (path.parent.name for path in states)
