"""The form of a project's backup: one file, of which nothing is believed before it is checked.

A line with the version and the SHA-256 of what follows; then a tar, compressed by gzip: first
`backup.json`, then ``files/`` (paths relative to the project folder) and ``volumes/<name>.tar``.
It must not know which files a project has.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from iac_wrapper.errors import ConfigError
from iac_wrapper.model.users import RANGES

VERSION = 1

_MAGIC = "karstkit-backup"
_HEAD = re.compile(rb"%s (\d+) ([0-9a-f]{64})\n" % _MAGIC.encode())
_LONGEST_HEAD = 128
_MANIFEST = "backup.json"
_FILES, _VOLUMES = "files", "volumes"
_MODE = 0o777
_BROKEN = (
    tarfile.TarError,
    zlib.error,
    gzip.BadGzipFile,
    EOFError,
    ValueError,
    KeyError,
    TypeError,
)


class BackupError(ConfigError):
    """The file is no backup that this version can restore; nothing has changed."""


@dataclass(frozen=True)
class BackedUpVolume:
    """A volume of the project when it was backed up: its name on the engine, its service, what
    repos.yaml calls it, its label of uids, its size in bytes if that was known, and whether its
    data is in the backup."""

    name: str
    service: str
    volume: str
    uids: str
    size_bytes: int | None
    has_data: bool


@dataclass(frozen=True)
class Manifest:
    """Of which project, by which version of `iac`, when (ISO 8601, UTC), on which machine, and its
    volumes."""

    project: str
    tool: str
    made_at: str
    host: str
    volumes: tuple[BackedUpVolume, ...]

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Manifest:
        """The inverse of `dataclasses.asdict` after a trip through JSON."""
        return cls(**{**data, "volumes": tuple(BackedUpVolume(**v) for v in data["volumes"])})


class BackupWriter:
    """Writes the members of a backup."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar

    def add(self, name: PurePosixPath, source: Path) -> None:
        """A file, folder or link, by its `name` in the project folder; its owner by number."""
        info = self._tar.gettarinfo(str(source), f"{_FILES}/{name}")
        info.uname = info.gname = ""
        if info.isreg() or info.islnk():
            data = source.read_bytes()  # at once: a file that grows must not be cut in two
            info.type, info.linkname, info.size = tarfile.REGTYPE, "", len(data)
            self._tar.addfile(info, io.BytesIO(data))
        elif info.isdir() or info.issym():
            self._tar.addfile(info)

    def add_volume(self, name: str, data: IO[bytes]) -> None:
        """The tar of a volume, from its begin to its end."""
        info = tarfile.TarInfo(f"{_VOLUMES}/{name}.tar")
        info.size = data.seek(0, os.SEEK_END)
        data.seek(0)
        self._tar.addfile(info, data)


@contextmanager
def written(out: IO[bytes], manifest: Manifest) -> Iterator[BackupWriter]:
    """Write a backup to `out`, which can be sought in, and is no backup until the block ends."""
    out.write(_head("0" * 64))
    hashed = _Hashed(out)
    with (
        gzip.GzipFile(fileobj=cast("IO[bytes]", hashed), mode="wb", compresslevel=6) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        data = json.dumps(asdict(manifest), indent=1).encode()
        info = tarfile.TarInfo(_MANIFEST)
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
        yield BackupWriter(tar)
    out.seek(0)
    out.write(_head(hashed.digest.hexdigest()))
    out.flush()


class _Hashed(io.RawIOBase):
    """Passes on what is written, and knows its hash."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self.digest = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        self.digest.update(data)
        return self._out.write(data)


@dataclass(frozen=True)
class BackupReader:
    """A backup whose checksum is right."""

    path: str
    manifest: Manifest
    _tar: tarfile.TarFile

    def unpack(self, to: Path, belongs: Callable[[PurePosixPath], bool]) -> None:
        """Unpack into the empty folder `to`, as ``files/`` and ``volumes/``.

        Files come first and links last, so nothing is written through a link.

        Args:
            to: there already.
            belongs: whether a path, relative to a project folder, is one of this project's.

        Raises:
            BackupError: it holds something else.
        """
        links = []
        with _explained(self.path):
            while member := self._tar.next():
                target = self._target(member, belongs)
                if member.issym():
                    links.append((to / target, member.linkname))
                else:
                    self._unpack(member, to / target)
            for path, link in links:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.symlink_to(link)

    def _target(
        self, member: tarfile.TarInfo, belongs: Callable[[PurePosixPath], bool]
    ) -> PurePosixPath:
        name = member.name
        path = PurePosixPath(name)
        where, *rest = path.parts
        inside = PurePosixPath(*rest)
        # What PurePosixPath would tidy away (`//`, `.`) no backup of ours has.
        plain = str(path) == name and not path.is_absolute() and ".." not in path.parts
        data = {f"{volume.name}.tar" for volume in self.manifest.volumes if volume.has_data}
        good = (where == _FILES and belongs(inside)) or (
            where == _VOLUMES and member.isreg() and str(inside) in data
        )
        link = PurePosixPath(member.linkname)
        stays = not member.issym() or not (link.is_absolute() or ".." in link.parts)
        kind = member.isreg() or member.isdir() or member.issym()
        if not (plain and good and stays and kind and "\0" not in name + member.linkname):
            raise BackupError(
                "the backup holds what is no part of its project",
                where=self.path,
                found=repr(name) + (f" -> {member.linkname!r}" if member.linkname else ""),
                expected=f"files of project {self.manifest.project}, and nothing outside of them",
                next_step="do not use it: `iac backup` did not write this",
            )
        return path

    def _unpack(self, member: tarfile.TarInfo, path: Path) -> None:
        mode = member.mode & _MODE
        path.parent.mkdir(parents=True, exist_ok=True)
        if member.isdir():
            path.mkdir(exist_ok=True)
            path.chmod(mode | 0o700)
            return
        source = self._tar.extractfile(member)
        assert source is not None  # noqa: S101 - a regular file has content
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
            while chunk := source.read(2**20):
                file.write(chunk)
            file.flush()
            os.utime(path, (member.mtime, member.mtime))
            # Keys were given to their Envoys; everything else is of the one who restores it.
            if os.geteuid() == 0 and any(member.uid in range(r.start, r.stop) for r in RANGES):
                os.fchown(file.fileno(), member.uid, -1)
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())


@contextmanager
def opened(path: Path, name: str) -> Iterator[BackupReader]:
    """Check the backup at `path` and read it; `name` is what people call it.

    Raises:
        BackupError: it is no backup, damaged, or a newer version's.
    """
    with path.open("rb") as file:
        match = _HEAD.fullmatch(file.readline(_LONGEST_HEAD))
        if not match:
            raise BackupError(
                "this is no backup of a project",
                where=name,
                found="another kind of file, or one without its begin",
                expected="a file that `iac backup` wrote",
                next_step="name that file; `iac volumes restore` takes the tar of one volume",
            )
        if int(match[1]) != VERSION:
            raise BackupError(
                "another version of iac wrote the backup",
                where=name,
                found=f"version {int(match[1])} of its form",
                expected=f"version {VERSION}",
                next_step="restore it with that version of iac",
            )
        begin = file.tell()
        if hashlib.file_digest(file, "sha256").hexdigest().encode() != match[2]:
            raise _damaged(name, "its checksum is another: it was cut off or changed")
        file.seek(begin)
        with ExitStack() as stack:
            with _explained(name):
                packed = stack.enter_context(gzip.GzipFile(fileobj=file))
                tar = stack.enter_context(tarfile.open(fileobj=packed, mode="r|"))
                first = tar.next()
                source = tar.extractfile(first) if first and first.name == _MANIFEST else None
                if source is None:
                    raise ValueError(f"it does not begin with {_MANIFEST}")
                manifest = Manifest.from_dict(json.loads(source.read()))
            yield BackupReader(name, manifest, tar)


@contextmanager
def _explained(name: str) -> Iterator[None]:
    try:
        yield
    except _BROKEN as error:
        raise _damaged(name, str(error)) from None


def _damaged(name: str, found: str) -> BackupError:
    return BackupError(
        "the backup is damaged",
        where=name,
        found=found,
        expected="the file as `iac backup` wrote it",
        next_step="copy it again, or use an older one",
    )


def _head(digest: str) -> bytes:
    return f"{_MAGIC} {VERSION} {digest}\n".encode()
