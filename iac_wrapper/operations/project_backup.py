"""A project in one file: for another machine, or after a loss. `project_restore` is the way back.

State, keys, secret values, ledger, locks, settings and the list of services go along; with `data`,
what is in its volumes as well. What can be made again (images, sources, logs) does not.
"""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import IO, Any

from iac_wrapper import __version__
from iac_wrapper.adapters import data_volumes
from iac_wrapper.errors import ConfigError, EngineError
from iac_wrapper.files import backup_file, lock_file
from iac_wrapper.files.backup_file import BackedUpVolume, BackupWriter, Manifest
from iac_wrapper.files.layout import Layout
from iac_wrapper.identity.certificate_authority import locked
from iac_wrapper.identity.issuers import NEXT
from iac_wrapper.model import labels
from iac_wrapper.operations import volume_copies, volumes
from iac_wrapper.operations.workspace import Workspace

_ROOT = ("main.py", "cdktf.json", ".env", "repos.yaml")
_HOOKS = "hooks"
_LOCK = ".lock.json"
_HELD = ".lock"


@dataclass(frozen=True)
class BackedUp:
    """What a backup has: its manifest, how many files, and which services stood still for it."""

    manifest: Manifest
    files: int
    stopped: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {**asdict(self.manifest), "files": self.files, "stopped": list(self.stopped)}


def backup(workspace: Workspace, out: IO[bytes], *, data: bool) -> BackedUp:
    """Write the project to `out`, which can be sought in, while it is held.

    Args:
        workspace: the project.
        out: where to.
        data: whether the volumes' data is part of it; programs that use them stand still meanwhile.

    Raises:
        ConfigError: this folder has nothing of the project.
        IacError: a file or volume cannot be read; what stood still runs again.
    """
    layout, project = workspace.layout, workspace.project
    with workspace.hold("iac backup"):
        if not layout.state(project).exists() and not layout.ledger(project).exists():
            raise ConfigError(
                f"there is nothing of project {project} in this folder",
                where=str(layout.root),
                found="neither a state nor a ledger",
                next_step="name another project with --project, or go to its folder: iac -C DIR",
            )
        manifest = _manifest(workspace, data=data)
        names = tuple(volume.name for volume in manifest.volumes if volume.has_data)
        count = 0
        with backup_file.written(out, manifest) as writer:
            for path in paths(layout, project):
                _add(writer, workspace, path)
                count += 1
            with volume_copies.standing_still(workspace, names) as stopped:
                for name in names:
                    workspace.progress(f"copying volume {name}")
                    _add_volume(workspace, writer, name)
        volume_copies.prove(workspace, stopped)
    return BackedUp(manifest, count, stopped)


def belongs(project: str, path: PurePosixPath) -> bool:
    """Whether a path, relative to a project folder, is a part of the project's backup."""
    match path.parts:
        case (name,):
            return name in _ROOT or name == _HOOKS or name.endswith((".yaml", ".yml", _LOCK))
        case (first, *_) if first == _HOOKS:
            return True
        case (".iac", "projects", of, name):
            return of == project and not name.endswith(_HELD)
        case (".iac", "projects", of) | (".iac", "ledger", of, *_):
            return of == project
        case ("secrets", name, *rest):
            own = (project, f"{project}.env", f"{project}.dotenv")
            return name in (*own, NEXT) or (not rest and is_authority(name))
        case _:
            return False


def is_authority(name: str) -> bool:
    """Whether a file of `secrets/` is of the authority, which the projects of a folder share."""
    return name.startswith("ca") and name.endswith((".pem", ".key"))


def paths(layout: Layout, project: str) -> Iterator[Path]:
    """What is backed up, folders before what is in them. Keys are not renewed while they are
    yielded: each key goes with its certificate."""
    for path in _candidates(layout, project):
        if belongs(project, PurePosixPath(path.relative_to(layout.root))):
            yield path


def _candidates(layout: Layout, project: str) -> Iterator[Path]:
    root = layout.root
    names = {*_ROOT}
    for path in root.glob(f"*{_LOCK}"):
        with suppress(ConfigError):
            if lock_file.load_lock(path).project == project:
                names |= {path.name, *_lists(path)}
    yield from (root / name for name in sorted(names) if (root / name).is_file())
    if (hooks := root / _HOOKS).is_dir():
        yield hooks
        for path in sorted(hooks.iterdir()):
            yield from tree(path)
    # Its folders are what commands work in, print, or make anew.
    yield from (path for path in sorted(layout.project(project).glob("*")) if path.is_file())
    yield from tree(layout.ledger(project))
    if layout.secrets.is_dir():
        with locked(layout.secrets, make=False):
            yield from (p for p in sorted(layout.secrets.glob("*")) if is_authority(p.name))
            yield from tree(layout.secrets / NEXT)
    yield from tree(layout.stored_values(project))
    yield from tree(layout.project_env_files(project))
    leaves = layout.certificates(project)
    if leaves.is_dir():
        yield leaves
        for leaf in sorted(leaves.iterdir()):
            with locked(leaf, make=False) if leaf.is_dir() else nullcontext():
                yield from tree(leaf)


def _lists(lock: Path) -> Iterator[str]:
    """What the list of a lock file may be called; an environment's name may be before the end."""
    stem = lock.name.removesuffix(_LOCK)
    for name in dict.fromkeys((stem, stem.rpartition(".")[0] or stem)):
        yield from (f"{name}.yaml", f"{name}.yml")


def tree(path: Path) -> Iterator[Path]:
    """`path`, if it is there, and all below it."""
    if path.is_symlink() or path.is_file():
        yield path
    elif path.is_dir():
        yield path
        for below in sorted(path.iterdir()):
            yield from tree(below)


def _add(writer: BackupWriter, workspace: Workspace, path: Path) -> None:
    name = PurePosixPath(path.relative_to(workspace.layout.root))
    try:
        writer.add(name, _source(workspace.project, name, path))
    except PermissionError as error:
        raise ConfigError(
            "cannot read a file of the project",
            where=str(path),
            found=error.strerror,
            expected="root: a service's key is readable by its own Envoy alone",
            next_step="run iac backup as root (sudo)",
        ) from None


def _source(project: str, name: PurePosixPath, path: Path) -> Path:
    """`path`, or what a link leads to that is no part of the backup: without that it leads nowhere.

    Raises:
        ConfigError: that is no file.
    """
    if not path.is_symlink():
        return path
    link = PurePosixPath(path.readlink())
    stays = not link.is_absolute() and ".." not in link.parts
    if stays and belongs(project, name.parent / link):
        return path
    real = path.resolve()
    if not real.is_file() and name.parts != (_HOOKS,):
        raise ConfigError(
            "a link of the project cannot be backed up",
            where=str(path),
            found=f"a link to {link}",
            expected="a link to a file, or to what is in the backup as well",
            next_step=f"put what it leads to in the place of {path}",
        )
    return real


def _add_volume(workspace: Workspace, writer: BackupWriter, name: str) -> None:
    # A tar says how long a member is before it comes.
    with tempfile.TemporaryFile(dir=workspace.directory) as spool:
        volumes.helper(workspace).run("backup", {name: {"mode": "w|"}}, stdout=spool)
        writer.add_volume(name, spool)


def _manifest(workspace: Workspace, *, data: bool) -> Manifest:
    return Manifest(
        project=workspace.project,
        tool=__version__,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        host=socket.gethostname(),
        volumes=tuple(_volumes(workspace, data=data)),
    )


def _volumes(workspace: Workspace, *, data: bool) -> Iterator[BackedUpVolume]:
    try:
        found = data_volumes.of_project(workspace.engine, workspace.project)
        sizes = data_volumes.sizes(workspace.engine) if found else {}
    except EngineError as error:
        if data:
            raise
        workspace.warn(f"the list of volumes is not in the backup: {error.message}")
        return
    for volume in found:
        yield BackedUpVolume(
            name=volume.name,
            service=volume.labels.get(labels.SERVICE, ""),
            volume=volume.labels.get(labels.VOLUME, ""),
            uids=volume.labels.get(labels.UIDS, ""),
            size_bytes=sizes.get(volume.name),
            has_data=data,
        )
