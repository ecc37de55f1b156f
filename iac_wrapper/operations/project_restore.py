"""A project made of its backup, whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from iac_wrapper import settings
from iac_wrapper.adapters import data_volumes
from iac_wrapper.errors import ConfigError
from iac_wrapper.files import backup_file, file_lock
from iac_wrapper.files.backup_file import BackedUpVolume, BackupError, BackupReader, Manifest
from iac_wrapper.files.layout import Layout, volume_name
from iac_wrapper.files.private_files import private_directory
from iac_wrapper.identity.issuers import NEXT
from iac_wrapper.model import labels
from iac_wrapper.model.users import label_value, parse_labels
from iac_wrapper.operations import recording, users, volumes
from iac_wrapper.operations.project_backup import belongs, paths, tree
from iac_wrapper.operations.workspace import Workspace

_STAGE = ".restore-"

_SHOWN = 5
"""Files that an error names."""


class ExistsError(ConfigError):
    """A restore would be over something that is there; nothing has changed."""


@dataclass(frozen=True)
class Restored:
    """What a restore made: of what, where, how many files, and the volumes whose data it had.
    `lost_uids`: services whose uids somebody else has here."""

    manifest: Manifest
    folder: Path
    files: int
    volumes: tuple[str, ...]
    lost_uids: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "backup": asdict(self.manifest),
            "folder": str(self.folder),
            "files": self.files,
            "volumes_restored": list(self.volumes),
            "lost_uids": list(self.lost_uids),
        }


def restore(
    source: Path,
    name: str,
    layout: Layout,
    open_workspace: Callable[[str, Path], Workspace],
    *,
    data: bool,
) -> Restored:
    """Make a project of its backup, whole or not at all.

    What is there already with the same content stays, so that an interrupted restore can be run
    again; anything else of the project that is there is an error before anything changes.

    Args:
        source: the file.
        name: what people call it.
        layout: of the folder to restore to.
        open_workspace: its workspace for a project, with the settings of another folder.
        data: whether volumes are filled from it as well, if it has their data.

    Raises:
        BackupError: the file is none, is damaged, or holds something else.
        ExistsError: something of the project is there.
        IacError: the engine or the disk refused.
    """
    with backup_file.opened(source, name) as reader:
        manifest = reader.manifest
        _check_names(manifest, name)
        wanted = [each for each in manifest.volumes if data and each.has_data]
        with _staged(layout, reader) as stage:
            workspace = open_workspace(manifest.project, stage / "files")
            staged = replace(workspace, layout=Layout(stage / "files"))
            _check_engine(workspace, wanted)
            _check_files(workspace, staged.layout)
            with workspace.hold("iac restore"), ExitStack() as undo:
                if not layout.state(manifest.project).exists():
                    undo.callback(users.release, workspace, None)
                lost = _reclaim(staged)
                for volume in wanted:
                    _fill(staged, volume, stage / "volumes" / f"{volume.name}.tar", undo)
                count = _move(staged.layout, layout, manifest.project, undo)
                undo.pop_all()
                said = f"restored from a backup of {manifest.made_at}, made on {manifest.host}"
                recording.note(workspace, "restore", [said])
    names = tuple(volume.name for volume in wanted)
    return Restored(manifest, layout.root, count, names, tuple(lost))


def _check_names(manifest: Manifest, where: str) -> None:
    """Refuse a backup of no possible project, or with a volume of another name than a project's
    has."""
    settings.check_project(manifest.project, where=where)
    for each in manifest.volumes:
        wanted = volume_name(manifest.project, each.service, each.volume)
        if each.name != wanted:
            raise BackupError(
                "the backup holds what is no part of its project",
                where=where,
                found=f"volume {each.name}",
                expected=f"volume {wanted}",
                next_step="do not use it: `iac backup` did not write this",
            )


@contextmanager
def _staged(layout: Layout, reader: BackupReader) -> Iterator[Path]:
    """A folder with all of a backup, on the disk of the project folder; gone at the end."""
    is_new = not layout.data.exists()
    layout.data.mkdir(parents=True, exist_ok=True)
    for old in layout.data.glob(f"{_STAGE}*"):  # of one that was killed: there are keys in it
        _remove_unless_used(old)
    stage = Path(tempfile.mkdtemp(prefix=_STAGE, dir=layout.data))
    lock = file_lock.acquire(stage / "lock")
    try:
        reader.unpack(stage, lambda path: belongs(reader.manifest.project, path))
        yield stage
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        if lock is not None:
            os.close(lock)
        if is_new:
            with suppress(OSError):  # it has something in it by now
                layout.data.rmdir()


def _remove_unless_used(stage: Path) -> None:
    lock = file_lock.acquire(stage / "lock")
    if lock is not None:
        shutil.rmtree(stage, ignore_errors=True)
        os.close(lock)


def _check_engine(workspace: Workspace, wanted: Iterable[BackedUpVolume]) -> None:
    """Refuse to restore over what runs, or over data, whosever it is."""
    engine, project = workspace.engine, workspace.project
    running = [each.name for each in engine.containers(project)]
    if there := [*running, *engine.networks(project)]:
        raise ExistsError(
            f"project {project} is on this engine",
            found=", ".join(sorted(there)),
            expected="an engine without it",
            next_step=f"iac destroy --project {project} in its folder; its volumes stay",
        )
    if data := [each.name for each in wanted if data_volumes.find(engine, each.name)]:
        raise ExistsError(
            "volumes of these names are on this engine",
            found=", ".join(data),
            expected="an engine without them",
            next_step="--no-data keeps what is in them; `docker volume rm NAME` deletes it",
        )


def _check_files(workspace: Workspace, staged: Layout) -> None:
    """Refuse if something of the project is there that is not as in the backup."""
    layout, project = workspace.layout, workspace.project
    root, new = layout.root, staged.root
    there = {path.relative_to(root) for path in paths(layout, project) if not _is_folder(path)}
    coming = {path.relative_to(new) for path in tree(new) if not _is_folder(path)}
    others = [path for path in there - coming if len(path.parts) > 1]
    differ = [
        path for path in coming if _exists(root / path) and not _same(root / path, new / path)
    ]
    if not _is_authority_used(layout):
        differ = [path for path in differ if path.parent != Path(layout.secrets.name)]
    if found := sorted(map(str, (*others, *differ))):
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise ExistsError(
            f"there is something of project {project} in this folder",
            where=str(root),
            found=", ".join(found[:_SHOWN]) + more,
            expected="nothing, or what is in the backup",
            next_step="restore into an empty folder (iac -C DIR restore FILE), or move these away",
        )


def _is_authority_used(layout: Layout) -> bool:
    """Whether there are leaves; a set-up makes an authority that has issued none yet."""
    own = {layout.build_secrets.name, NEXT}
    return any(path.is_dir() and path.name not in own for path in layout.secrets.glob("*"))


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _exists(path: Path) -> bool:
    return path.exists() or path.is_symlink()


def _same(one: Path, other: Path) -> bool:
    if one.is_symlink() or other.is_symlink():
        return one.is_symlink() and other.is_symlink() and one.readlink() == other.readlink()
    return one.is_file() and other.is_file() and one.read_bytes() == other.read_bytes()


def _reclaim(staged: Workspace) -> list[str]:
    """As `users.reclaim`; a project whose first deploy never came so far has none."""
    if not staged.layout.users(staged.project).exists():
        return []
    lost = users.reclaim(staged)
    if lost:
        staged.warn(
            f"the uids of {', '.join(lost)} are taken on this engine: the next deploy gives other"
            " ones, with new certificates"
        )
    return lost


def _fill(staged: Workspace, volume: BackedUpVolume, data: Path, undo: ExitStack) -> None:
    """Make a volume and unpack its data; the deploy gives it to its program."""
    engine, project, service = staged.engine, staged.project, volume.service
    staged.progress(f"restoring volume {volume.name}")
    present = {
        labels.PROJECT: project,
        labels.SERVICE: service,
        labels.ROLE: "volume",
        labels.VOLUME: volume.volume,
    }
    owners, _ = parse_labels([volume.uids], project)
    if service in owners:
        present[labels.UIDS] = label_value(owners[service], project, service)
    made = data_volumes.create(engine, volume.name, present)
    undo.callback(data_volumes.remove, engine, volume.name)
    helper = volumes.helper(staged)
    owned = {volume.name: {"everything": volumes.is_of_one_user(staged, made)}}
    with data.open("rb") as source:
        helper.run("unpack", owned, stdin=source)
    helper.run("swap", {volume.name: {}})


def _move(staged: Layout, layout: Layout, project: str, undo: ExitStack) -> int:
    """Give every file of a staged project its place, the state last: what has that is restored."""
    state = staged.state(project)
    paths = sorted(tree(staged.root), key=lambda path: (path == state, path))
    private_directory(layout.secrets)
    count = 0
    for path in paths:
        final = layout.root / path.relative_to(staged.root)
        if _is_folder(path):
            if not final.is_dir():
                final.mkdir()
                final.chmod(path.stat().st_mode & 0o777)
                undo.callback(_remove_empty, final)
        elif not _exists(final):
            path.rename(final)
            undo.callback(final.unlink, missing_ok=True)
            count += 1
        elif not _same(final, path):  # an authority that has issued nothing
            aside = path.with_name(f".before-{path.name}")
            final.rename(aside)
            undo.callback(aside.rename, final)
            path.rename(final)
            count += 1
    return count


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):  # it has something in it by now
        folder.rmdir()
