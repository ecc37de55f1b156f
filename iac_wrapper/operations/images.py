"""Which images of services are needed, which are kept for a next deploy, and which go.

A spare image is one that no deployed or proven version needs, and that the next deploy of the same
source would have to build again: the last one of a service that was destroyed, removed or put back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from iac_wrapper.adapters import app_images, engine_changes, state
from iac_wrapper.adapters.app_images import NamedImage
from iac_wrapper.errors import BusyError, ConfigError
from iac_wrapper.model.lock import LockFile
from iac_wrapper.operations import recording
from iac_wrapper.operations.releases import Releases, load_releases
from iac_wrapper.operations.workspace import Workspace

Why = Literal["deployed", "proven", "spare", "elsewhere", "surplus"]
"""Why an image is there: a deployed version runs it; an older version that was proven can be gone
back to; a next deploy may need it; it belongs to a project of another folder; nothing needs it, and
the next deploy or destroy removes it."""

UNDISTURBED = timedelta(days=1)
"""Since its last use; an image of another project that is younger may be of a deploy under way,
which has images before it has containers."""

JUST_USED = timedelta(hours=1)
"""What another project used so lately is left alone also by a prune that a person asks for."""

Needs = Mapping[str, Why]
"""Name of an image -> why it is needed."""


@dataclass(frozen=True)
class KeptImage:
    """An image on the engine, when it was last used (UTC), and why it is there."""

    image: NamedImage
    used_at: datetime
    why: Why

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "name": self.image.name,
            "project": self.image.project,
            "service": self.image.service,
            "size_bytes": self.image.size,
            "used_at": self.used_at.isoformat(),
            "why": self.why,
        }


def list_images(workspace: Workspace, *, everything: bool = False) -> list[KeptImage]:
    """The images of the project, or of every project on the engine, newest first per service."""
    images = app_images.listed(workspace.engine)
    rows = _judged(workspace, images, _needs(workspace, images))
    return [row for row in rows if everything or row.image.project == workspace.project]


def idle(workspace: Workspace, *, everything: bool = False) -> list[KeptImage]:
    """Those that a prune removes: what no deployed or proven version needs, of other projects
    unless it was used just now, as by a deploy under way."""
    rows = list_images(workspace, everything=everything)
    since = datetime.now(UTC) - JUST_USED
    return [
        row
        for row in rows
        if row.why in ("spare", "surplus")
        and (row.image.project == workspace.project or row.used_at < since)
    ]


def prune(workspace: Workspace, *, everything: bool = False) -> list[KeptImage]:
    """Remove what no deployed or proven version needs; return it.

    Each project of the folder is held meanwhile; where a command is at work, its images stay.

    Raises:
        BusyError: a command is at work on the project itself.
    """
    with workspace.hold("iac images prune"):
        rows = idle(workspace, everything=everything)
        gone: list[KeptImage] = []
        for project in dict.fromkeys(row.image.project for row in rows):
            own = [row for row in rows if row.image.project == project]
            try:
                gone += _remove(replace(workspace, project=project), own, workspace.project)
            except BusyError as error:
                workspace.warn(f"images of project {project} stay: busy with {error.found}")
        names = [row.image.name for row in gone]
        said = [f"{len(names)} images: {', '.join(names)}"] if names else []
        recording.note(workspace, "prune", said)
        return gone


def _remove(project: Workspace, rows: Sequence[KeptImage], held: str) -> list[KeptImage]:
    """Those of `rows` that the project, held while they go, still does not need."""
    known_here = project.project != held and project.directory.is_dir()
    with project.hold("iac images prune") if known_here else nullcontext():
        still = {row.image.name for row in idle(project)}
        return [
            row
            for row in rows
            if row.image.name in still
            and engine_changes.remove_image(project.engine, row.image.name)
        ]


def note_use(workspace: Workspace, lock: LockFile) -> None:
    """Note that the images of `lock` that are not deployed yet will be: until they have containers,
    a prune from another folder sees only when they were last used."""
    for name in sorted(set(of_lock(lock)) - set(of_lock(workspace.applied_lock()))):
        app_images.touch(workspace.engine, name)


@dataclass(frozen=True)
class Settled:
    """Names of the project's images that went, and of those that stay for a next deploy."""

    removed: Sequence[str]
    spare: Sequence[str]


def settle(
    workspace: Workspace,
    lock: LockFile | None,
    *,
    before: LockFile | None = None,
) -> Settled:
    """Remove what is surplus, of this project and of those that are no more on the engine.

    Args:
        workspace: the project, whose record of proven versions is true.
        lock: what is deployed now, and what the next deploy will want besides; None: nothing is.
        before: what was deployed until now.
    """
    engine, now = workspace.engine, datetime.now(UTC)
    for name in sorted(set(of_lock(before)) - set(of_lock(lock))):
        app_images.touch(engine, name)
    images = app_images.listed(engine)
    needs = _needs(workspace, images)
    needs[workspace.project] = _needed(lock, load_releases(workspace)) if lock else {}
    rows = _judged(workspace, [image for image in images if not _why(needs, image)], needs)
    own = [row for row in rows if row.image.project == workspace.project]
    others = [row for row in rows if row not in own and now - row.used_at > UNDISTURBED]
    removed = [
        row.image.name
        for row in (*own, *others)
        if row.why == "surplus" and engine_changes.remove_image(engine, row.image.name)
    ]
    for name in removed:
        workspace.progress(f"removed image {name}: nothing needs it")
    return Settled(removed, [row.image.name for row in own if row.why == "spare"])


def _judged(
    workspace: Workspace, images: Iterable[NamedImage], needs: Mapping[str, Needs | None]
) -> list[KeptImage]:
    """`images`, by project and service, of each the newest first."""
    used = {image: app_images.used_at(workspace.engine, image) for image in images}
    rows = [KeptImage(image, at, _why(needs, image) or "surplus") for image, at in used.items()]
    idle_ones = [row for row in rows if row.why == "surplus"]
    spare, days = workspace.settings.spare_images, workspace.settings.spare_days
    rows = [row for row in rows if row.why != "surplus"] + _spare(idle_ones, spare, days)
    rows.sort(key=lambda row: row.used_at, reverse=True)
    return sorted(rows, key=lambda row: (row.image.project, row.image.service))


def _spare(rows: Iterable[KeptImage], most: int, days: int) -> list[KeptImage]:
    """`rows` with the last of each service as spare ones, as far as number and age allow."""
    oldest = datetime.now(UTC) - timedelta(days=days)
    services: set[tuple[str, str]] = set()
    found: list[KeptImage] = []
    for row in sorted(rows, key=lambda row: row.used_at, reverse=True):
        key = row.image.project, row.image.service
        keep = key not in services and len(services) < most and row.used_at > oldest
        if keep:
            services.add(key)
        found.append(replace(row, why="spare" if keep else "surplus"))
    return found


def _needs(workspace: Workspace, images: Iterable[NamedImage]) -> dict[str, Needs | None]:
    """By project, why which image is needed; None where only another folder knows."""
    there = set(workspace.engine.projects())
    here = {workspace.project, *state.projects(workspace.layout)}
    found: dict[str, Needs | None] = {}
    for project in {image.project for image in images}:
        if project in here:
            found[project] = _recorded(replace(workspace, project=project))
        else:
            found[project] = None if project in there else {}
    return found


def _why(needs: Mapping[str, Needs | None], image: NamedImage) -> Why | None:
    """None: nothing needs it."""
    needed = needs[image.project]
    return "elsewhere" if needed is None else needed.get(image.name)


def _recorded(workspace: Workspace) -> Needs | None:
    """None: the records cannot be read."""
    try:
        return _needed(workspace.applied_lock(), load_releases(workspace))
    except ConfigError:
        return None


def _needed(lock: LockFile | None, known: Releases) -> Needs:
    """What is deployed, and what can be gone back to."""
    releases = [release for each in known.good.values() for release in each]
    proven: dict[str, Why] = {release.app.image: "proven" for release in releases}
    return {**proven, **dict.fromkeys(of_lock(lock), "deployed")}


def of_lock(lock: LockFile | None) -> Sequence[str]:
    """The images that a lock names, also those of services that a person stopped."""
    return [app.image for app in lock.all_apps] if lock else []
