"""Data volumes: folders of services that outlive containers, deploys and a destroy.

The command side makes them and gives them to their programs, as it does with certificates and uids;
Terraform mounts them by name, so that nothing that it removes is data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any

from iac_wrapper.adapters import data_volumes
from iac_wrapper.adapters.data_volumes import EngineVolume
from iac_wrapper.adapters.volume_helper import VolumeHelper
from iac_wrapper.errors import ConfigError
from iac_wrapper.files import users_file
from iac_wrapper.files.layout import volume_name
from iac_wrapper.model import labels
from iac_wrapper.model.app import Checkout, ResolvedApp
from iac_wrapper.model.lock import LockFile
from iac_wrapper.model.users import Users, label_value
from iac_wrapper.operations import recording, users
from iac_wrapper.operations.workspace import Workspace

SOURCE = "/app"
"""Where an image has the source (program/templates/Dockerfile.j2)."""


@dataclass(frozen=True)
class WantedVolume:
    """A volume of a lock: its name on the engine, whose it is, what repos.yaml calls it, and
    where its program finds it."""

    name: str
    service: str
    volume: str
    path: str


@dataclass(frozen=True)
class VolumeRow:
    """A volume that is there. `path` is empty if no deployed service mounts it, `size_bytes` None
    if the engine does not know it; `used_by` are names of containers; `since` is ISO 8601."""

    name: str
    service: str
    volume: str
    path: str
    size_bytes: int | None
    used_by: tuple[str, ...]
    since: str

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {**asdict(self), "used_by": list(self.used_by)}


def wanted(project: str, apps: Sequence[ResolvedApp]) -> list[WantedVolume]:
    """The volumes that these services mount."""
    return [
        WantedVolume(volume_name(project, app.name, volume), app.name, volume, path)
        for app in apps
        for volume, path in sorted(app.options.volumes.items())
    ]


def check(workspace: Workspace, lock: LockFile) -> None:
    """Refuse before anything changes if a volume of a wanted name is somebody else's.

    Raises:
        ConfigError: it is.
    """
    for each in wanted(workspace.project, lock.apps):
        there = data_volumes.find(workspace.engine, each.name)
        if there and not there.belongs_to(workspace.project, each.service):
            raise _foreign(there, each)


def prepare(workspace: Workspace, lock: LockFile) -> None:
    """Make the volumes of `lock` that are missing, and give each to its program.

    Raises:
        CommandError: the engine refused.
    """
    folders = wanted(workspace.project, lock.apps)
    if not folders:
        return
    owners = users_file.load_users(workspace.layout.users(workspace.project))
    apps = {app.name: app for app in lock.apps}
    known = workspace.engine.volumes(workspace.project)
    for each in folders:
        _make(workspace, each, owners[each.service])
    arguments = {each.name: _owner(apps[each.service], owners[each.service]) for each in folders}
    owned = {name: owner for name, owner in arguments.items() if owner}
    given = helper(workspace).run("own", owned) if owned else ()
    counts = dict(zip(owned, given, strict=True))
    for each in folders:
        count = counts.get(each.name)
        if each.name not in known:
            workspace.progress(f"{each.service}: volume {each.name} is new, at {each.path}")
        elif count:
            workspace.progress(
                f"{each.service}: {count} files of volume {each.name} now belong to its program"
            )


def is_of_one_user(workspace: Workspace, volume: EngineVolume) -> bool:
    """Whether all in it is to be its owner's, as a program of ours wants it; what is not deployed
    counts as one."""
    lock = workspace.applied_lock()
    apps = {app.name: app for app in lock.all_apps} if lock else {}
    app = apps.get(volume.labels.get(labels.SERVICE, ""))
    return app is None or app.has_runner


def helper(workspace: Workspace) -> VolumeHelper:
    """What works on the files of volumes."""
    host = workspace.host
    return VolumeHelper(host.docker, host.sidecar_image, workspace.project)


def hidden(checkout: Checkout) -> Iterator[str]:
    """A sentence for each volume that covers files of the source."""
    for volume, path in sorted(checkout.spec.options.volumes.items()):
        inside = PurePosixPath(path)
        if inside.is_relative_to(SOURCE):
            folder = inside.relative_to(SOURCE)
            if any(found.is_file() for found in checkout.path.joinpath(folder).rglob("*")):
                yield f"volume {volume} hides what the source has in {folder}/"


def changes(
    workspace: Workspace, before: Sequence[ResolvedApp], after: Sequence[ResolvedApp]
) -> dict[str, list[str]]:
    """What becomes of data where two locks differ: service -> a sentence for each volume."""
    said: dict[str, list[str]] = {}
    old, new = (wanted(workspace.project, apps) for apps in (before, after))
    for each in new:
        if each.name not in {one.name for one in old}:
            there = data_volumes.find(workspace.engine, each.name)
            how = f"found with its data, made {there.created_at[:10]}" if there else "new"
            text = f"volume {each.name} at {each.path}: {how}"
            said.setdefault(each.service, []).append(text)
    for service, text in left(workspace.project, before, after):
        said.setdefault(service, []).append(text)
    return said


def gone(
    workspace: Workspace, before: Sequence[ResolvedApp], after: Sequence[ResolvedApp]
) -> Iterator[WantedVolume]:
    """The volumes that both locks have and the engine has not: a deploy makes them anew, empty."""
    known = {each.name for each in wanted(workspace.project, before)}
    there = workspace.engine.volumes(workspace.project) if known else {}
    for each in wanted(workspace.project, after):
        if each.name in known and each.name not in there:
            yield each


def left(
    project: str, before: Sequence[ResolvedApp], after: Sequence[ResolvedApp]
) -> Iterator[tuple[str, str]]:
    """(service, sentence) for each volume that is mounted no longer."""
    mounted = {each.name for each in wanted(project, after)}
    for each in wanted(project, before):
        if each.name not in mounted:
            yield (
                each.service,
                f"volume {each.name} stays with its data;"
                f" `iac volumes remove {each.name} --project {project}` deletes it",
            )


def list_volumes(workspace: Workspace) -> list[VolumeRow]:
    """The data volumes of the project, also those that no service mounts any more."""
    lock, engine = workspace.applied_lock(), workspace.engine
    paths = {
        each.name: each.path for each in wanted(workspace.project, lock.all_apps if lock else ())
    }
    found = data_volumes.of_project(engine, workspace.project)
    sizes = data_volumes.sizes(engine) if found else {}
    return [
        VolumeRow(
            name=volume.name,
            service=volume.labels.get(labels.SERVICE, ""),
            volume=volume.labels.get(labels.VOLUME, ""),
            path=paths.get(volume.name, ""),
            size_bytes=sizes.get(volume.name),
            used_by=tuple(each.name for each in data_volumes.users(engine, volume.name)),
            since=volume.created_at,
        )
        for volume in found
    ]


def named(workspace: Workspace, name: str) -> EngineVolume:
    """The project's volume of that name.

    Raises:
        ConfigError: there is none; names those that there are.
    """
    found = data_volumes.of_project(workspace.engine, workspace.project)
    for volume in found:
        if volume.name == name:
            return volume
    names = ", ".join(volume.name for volume in found)
    raise ConfigError(
        f"there is no volume {name} in project {workspace.project}",
        found=f"the volumes {names}" if names else "no volumes",
        expected="a name that `iac volumes` lists",
        next_step="iac lock makes the volumes of repos.yaml; --project names another project",
    )


def remove(workspace: Workspace, name: str) -> None:
    """Remove a volume that no container uses, with all its data.

    Raises:
        ConfigError: there is none of that name, or a container uses it.
    """
    with workspace.hold("iac volumes remove"):
        volume = named(workspace, name)
        using = data_volumes.users(workspace.engine, name)
        if using:
            raise ConfigError(
                f"volume {name} is in use",
                found=", ".join(each.name for each in using),
                expected="a volume that no container mounts",
                next_step=f"take it out of `volumes:` of {volume.labels.get(labels.SERVICE)} and"
                " deploy, or `iac remove` the service; then run the command again",
            )
        data_volumes.remove(workspace.engine, name)
        recording.note(workspace, "remove-volume", [f"volume {name} removed, with its data"])
        users.release(workspace, workspace.applied_lock())


def _make(workspace: Workspace, each: WantedVolume, owner: Users) -> None:
    project = workspace.project
    present = {
        labels.PROJECT: project,
        labels.SERVICE: each.service,
        labels.ROLE: "volume",
        labels.UIDS: label_value(owner, project, each.service),
        labels.VOLUME: each.volume,
    }
    made = data_volumes.create(workspace.engine, each.name, present)
    if not made.belongs_to(project, each.service):
        raise _foreign(made, each)


def _owner(app: ResolvedApp, users: Users) -> Mapping[str, Any] | None:
    """To whom a service's volumes belong; None where its program sees to that, because it starts as
    root and steps down.

    A program of ours runs as one user, so all that is in its volume is that user's; in that of
    another image only what belonged to its folder's owner before.
    """
    uid, gid = app.owner(users)
    return {"uid": uid, "gid": gid, "everything": app.has_runner} if uid else None


def _foreign(there: EngineVolume, each: WantedVolume) -> ConfigError:
    project, service = (there.labels.get(name) for name in (labels.PROJECT, labels.SERVICE))
    whose = f"one of project {project}, service {service}" if project else "one without our labels"
    return ConfigError(
        f"volume {each.name} is not this service's",
        where=f"service {each.service}",
        found=whose,
        expected="no volume of that name, or one that KarstKit made for this service",
        next_step=f"choose another name in `volumes:`; if nobody needs its data,"
        f" `docker volume rm {each.name}`",
    )
