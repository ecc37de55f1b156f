"""Gives every service of a project uids of its own, and takes back those of services that left."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from iac_wrapper.adapters import uid_record
from iac_wrapper.errors import ConfigError
from iac_wrapper.files import users_file
from iac_wrapper.files.atomic import write_text
from iac_wrapper.model import users
from iac_wrapper.model.certificate import INGRESS
from iac_wrapper.model.lock import LockFile
from iac_wrapper.model.users import GATEWAY, Users
from iac_wrapper.operations.workspace import Workspace


def propose(workspace: Workspace, lock: LockFile, path: Path) -> Mapping[str, Users]:
    """Which uids the services have, or would get, also written to `path`; the record stays."""
    found = _assign(workspace, lock, lambda _block, _service: True)
    users_file.save_users(found, path)
    return found


def claim(workspace: Workspace, lock: LockFile) -> Mapping[str, Users]:
    """Enter uids for every service and the gateway, and write what hands them over.

    Raises:
        ConfigError: the engine has no free ones.
    """

    def enter(block: Users, service: str) -> bool:
        return uid_record.claim(workspace.engine, block, workspace.project, service)

    found = _assign(workspace, lock, enter)
    layout = workspace.layout
    for app in lock.apps:
        path, text = layout.passwd(workspace.project, app.name), users.passwd(found[app.name])
        # A running container has the file itself mounted, not its name.
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            write_text(path, text)
    users_file.save_users(found, layout.users(workspace.project))
    return found


def reclaim(workspace: Workspace) -> list[str]:
    """Enter the uids that the project's record has, of another engine perhaps.

    Returns:
        Whose are somebody else's here: a deploy gives them others, and so new keys.
    """
    project = workspace.project
    wanted = users_file.load_users(workspace.layout.users(project))
    own, bases = users.parse_labels(uid_record.labels_in_use(workspace.engine), project)
    foreign = uid_record.subordinate()
    lost = []
    for name, block in sorted(wanted.items()):
        taken = {block.base} & bases if own.get(name) != block else ()
        free = any(each == block for each in users.free_blocks(taken, foreign))
        if not (
            free
            and list(uid_record.unknown_here([block]))
            and uid_record.claim(workspace.engine, block, project, name)
        ):
            lost.append(name)
    return lost


def release(workspace: Workspace, lock: LockFile | None) -> None:
    """Take back the uids of services that are not in `lock`; None: of the whole project."""
    keep = set(_owners(lock)) if lock else set()
    uid_record.release(workspace.engine, workspace.project, keep)
    for path in workspace.layout.passwd_files(workspace.project).glob("*"):
        if path.name not in keep:
            path.unlink()


def _assign(
    workspace: Workspace, lock: LockFile, enter: Callable[[Users, str], bool]
) -> dict[str, Users]:
    """What each has already, else the first free block that `enter` gets."""
    own, bases = users.parse_labels(uid_record.labels_in_use(workspace.engine), workspace.project)
    free = iter(uid_record.unknown_here(users.free_blocks(bases, uid_record.subordinate())))
    names = _owners(lock)
    found = {name: own[name] for name in names if name in own and enter(own[name], name)}
    for name in names:
        if name not in found:
            block = next((block for block in free if enter(block, name)), None)
            if block is None:
                raise _none_left()
            found[name] = block
    return found


def _owners(lock: LockFile) -> tuple[str, ...]:
    """Everybody who has uids."""
    ingress = (INGRESS,) if lock.routes else ()
    return (GATEWAY, *ingress, *(app.name for app in lock.all_apps))


def _none_left() -> ConfigError:
    ranges = " or ".join(f"{each.start} to {each.stop - 1}" for each in users.RANGES)
    return ConfigError(
        "no uids are left for another service",
        found="every block is in use on the engine, or belongs to users of this machine",
        expected=f"{users.BLOCK} free uids within {ranges}",
        next_step="destroy projects that are not needed; `docker volume ls -f label="
        "org.karstkit.uids` lists who has uids",
    )
