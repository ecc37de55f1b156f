"""What a helper container runs on the files of volumes: gives them away, packs and unpacks them.

Its text is the program: `volume_helper` hands it to a Python of the standard library, so it imports
nothing of ours. It never follows a link. What it has to say is a line of JSON on stderr.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import sys
import tarfile
import zlib
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, NoReturn

MARK = ".karstkit"
"""Begins the names of what is ours in a volume. The file of this name keeps Docker from giving an
empty volume the owner, and the files, that the image has at that path."""

PART, NEW, GOING, OLD = (f"{MARK}-{name}" for name in ("part", "new", "going", "old"))
"""Folders of a restore: what is unpacked; the same once it is to take its place; what is moved out
of its way; the same once nothing of the old is in its place."""

_CHUNK = 1024 * 1024
_ATTRIBUTE = "SCHILY.xattr."
"""Before the name of an extended attribute in a tar: as star, GNU tar and bsdtar write it."""

_EXPLAINED = (
    *(OSError, ValueError, EOFError, OverflowError, RecursionError),
    *(tarfile.TarError, zlib.error),
)


def own(volume: Path, uid: int, gid: int, *, everything: bool) -> int:
    """Give a volume to `uid`:`gid`; a new one is for them alone.

    Args:
        volume: where it is mounted.
        uid: the owner.
        gid: its group.
        everything: whether all in it must be theirs; else only what belonged to the owner before.

    Returns:
        How many files and folders changed hands.
    """
    discard(volume)
    was, inside = volume.lstat(), [path.lstat() for path in volume.iterdir()]
    if everything and not inside:
        (volume / MARK).touch()
    if not inside and was.st_uid == 0:
        volume.chmod(0o700)
    good = (uid, gid)
    strange = everything and any((found.st_uid, found.st_gid) != good for found in inside)
    if (was.st_uid, was.st_gid) == good and not strange:
        return 0
    count = int((was.st_uid, was.st_gid) != good)
    for _, folders, files, handle in os.fwalk(volume):
        for name in (*folders, *files):
            with suppress(FileNotFoundError):  # a program that runs removed it
                found = os.stat(name, dir_fd=handle, follow_symlinks=False)
                owner = uid if everything or found.st_uid == was.st_uid else found.st_uid
                group = gid if everything or found.st_gid == was.st_gid else found.st_gid
                if (found.st_uid, found.st_gid) != (owner, group):
                    os.chown(name, owner, group, dir_fd=handle, follow_symlinks=False)
                    count += 1
    os.chown(volume, uid, gid)
    return count


class Packer:
    """Writes the files of a volume as a tar: owners by number, modes, times, links and ``user.``
    attributes. `said` counts, `skipped` sockets and pipes, `changed` what shrank under the copy.
    """

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self._seen: dict[tuple[int, int], str] = {}
        self.said = {"files": 0, "bytes": 0, "skipped": 0, "changed": 0}

    def run(self, volume: Path) -> None:
        """Pack all of it but what is ours."""
        self._tar.addfile(_entry(".", volume.lstat()))
        for folder, folders, files, handle in os.fwalk(volume):
            at = Path(folder).relative_to(volume)
            if not at.parts:
                folders[:] = [name for name in folders if not name.startswith(MARK)]
                files = [name for name in files if not name.startswith(MARK)]  # noqa: PLW2901
            folders.sort()
            for name in sorted([*folders, *files]):
                try:
                    self._pack(str(at / name), name, handle)
                except FileNotFoundError:  # a program that runs removed it
                    self.said["changed"] += 1
            self._tar.members = []  # type: ignore[attr-defined] # it would remember every one

    def _pack(self, path: str, name: str, handle: int) -> None:
        found = os.stat(name, dir_fd=handle, follow_symlinks=False)
        info, key = _entry(path, found), (found.st_dev, found.st_ino)
        if stat.S_ISREG(found.st_mode) and key not in self._seen:
            self._pack_file(info, name, handle)
            self._seen |= {key: path} if found.st_nlink > 1 else {}
            return
        if stat.S_ISREG(found.st_mode):
            info.type, info.linkname = tarfile.LNKTYPE, self._seen[key]
        elif stat.S_ISLNK(found.st_mode):
            info.type, info.linkname = tarfile.SYMTYPE, os.readlink(name, dir_fd=handle)
        elif not stat.S_ISDIR(found.st_mode):
            self.said["skipped"] += 1
            return
        self._tar.addfile(info)

    def _pack_file(self, info: tarfile.TarInfo, name: str, handle: int) -> None:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        with os.fdopen(os.open(name, flags, dir_fd=handle), "rb") as file:
            info.size = os.fstat(file.fileno()).st_size
            info.pax_headers = {
                _ATTRIBUTE + each: os.getxattr(file.fileno(), each).decode(errors="surrogateescape")
                for each in os.listxattr(file.fileno())
                if each.startswith("user.")
            }
            whole = _Whole(file, info.size)
            self._tar.addfile(info, whole)  # type: ignore[arg-type]
        self.said["files"] += 1
        self.said["bytes"] += info.size
        self.said["changed"] += whole.short


class _Whole:
    """A file of `size` bytes, whatever a program does to it meanwhile."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self._left = size
        self.short = False

    def read(self, size: int) -> bytes:
        wanted = min(size, self._left)
        data = self._file.read(wanted)
        self.short = self.short or len(data) < wanted
        self._left -= wanted
        return data.ljust(wanted, b"\0")


def _entry(path: str, found: os.stat_result) -> tarfile.TarInfo:
    info = tarfile.TarInfo(path)
    info.mode, info.mtime = stat.S_IMODE(found.st_mode), found.st_mtime
    info.uid, info.gid = found.st_uid, found.st_gid
    info.type = tarfile.DIRTYPE if stat.S_ISDIR(found.st_mode) else tarfile.REGTYPE
    return info


class _Member(tarfile.TarInfo):
    """Tells a tar that ends from one that was cut off: `tarfile` takes both for the end."""

    ended = False

    @classmethod
    def fromtarfile(cls, tar: tarfile.TarFile) -> _Member:
        try:
            return super().fromtarfile(tar)
        except tarfile.HeaderError as error:
            if type(error).__name__ != "EOFHeaderError":
                raise tarfile.ReadError(str(error)) from None
            _Member.ended = True
            raise


class Unpacker:
    """Unpacks a tar beside the files of a volume, which stay as they are; `swap` is what follows.

    Plain files, folders and links only. Links are made last, so nothing is written through one.
    What belonged to the owner of the volume that was packed belongs to the owner of this one; with
    `everything`, all does.
    """

    def __init__(self, volume: Path, *, everything: bool) -> None:
        self._root = volume / PART
        self._to, self._everything = volume.lstat(), everything
        self._from: tuple[int, int] | None = None
        self._folders: list[tuple[Path, tarfile.TarInfo]] = []
        self._links: list[tuple[Path, tarfile.TarInfo]] = []
        self.said = {"files": 0, "bytes": 0}

    def run(self, source: IO[bytes]) -> None:
        """Unpack all of `source`, compressed or not.

        Raises:
            ValueError, OSError, TarError: it is cut off, or holds what could leave the volume.
        """
        self._root.mkdir(0o700)
        _Member.ended = False
        with tarfile.open(fileobj=source, mode="r|*", tarinfo=_Member) as tar:
            for member in tar:
                self._take(tar, member)
                tar.members = []  # type: ignore[attr-defined] # as in a Packer
        if not _Member.ended:
            raise tarfile.ReadError("it ends too early")
        for path, info in self._links:
            self._link(path, info)
        for path, info in reversed(self._folders):  # the inner ones first, so that times stay
            self._finish(path, info)
        while source.read(_CHUNK):  # else whoever sends has nobody to send to
            pass

    def _take(self, tar: tarfile.TarFile, info: tarfile.TarInfo) -> None:
        parts = _parts(info.name)
        if parts and parts[0].startswith(MARK):
            return
        path = self._root.joinpath(*parts)
        for depth in range(1, len(parts)):
            self._folder(self._root.joinpath(*parts[:depth]))
        if info.isdir():
            if not parts:
                self._from = (info.uid, info.gid)
            self._folder(path)
            self._folders.append((path, info))
        elif info.issym() or info.islnk():
            self._links.append((path, info))
        elif info.isreg():
            self._file(tar, info, path)
        else:
            _refuse("a device or a pipe", info.name)

    def _folder(self, path: Path) -> None:
        if path == self._root or stat.S_ISDIR(_mode(path)):
            return
        path.mkdir(0o700)
        os.chown(path, self._to.st_uid, self._to.st_gid)

    def _file(self, tar: tarfile.TarFile, info: tarfile.TarInfo, path: Path) -> None:
        content = tar.extractfile(info)
        assert content is not None  # noqa: S101 - a plain file has content
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "wb") as file:
            shutil.copyfileobj(content, file, _CHUNK)
            for name, value in info.pax_headers.items():
                if name.startswith(f"{_ATTRIBUTE}user."):
                    data = value.encode(errors="surrogateescape")
                    os.setxattr(file.fileno(), name.removeprefix(_ATTRIBUTE), data)
        self._finish(path, info)
        self.said["files"] += 1
        self.said["bytes"] += info.size

    def _link(self, path: Path, info: tarfile.TarInfo) -> None:
        if info.issym():
            path.symlink_to(info.linkname)
            os.chown(path, *self._owner(info), follow_symlinks=False)
            return
        parts = _parts(info.linkname)
        kinds = [_mode(self._root.joinpath(*parts[:n])) for n in range(1, len(parts) + 1)]
        if not kinds or not stat.S_ISREG(kinds[-1]) or not all(map(stat.S_ISDIR, kinds[:-1])):
            _refuse("a link to what it does not hold", info.name)
        os.link(self._root.joinpath(*parts), path, follow_symlinks=False)

    def _finish(self, path: Path, info: tarfile.TarInfo) -> None:
        os.chown(path, *self._owner(info), follow_symlinks=False)
        path.chmod(info.mode & 0o7777)
        os.utime(path, (info.mtime, info.mtime))

    def _owner(self, info: tarfile.TarInfo) -> tuple[int, int]:
        uid, gid = self._from or (None, None)
        return (
            self._to.st_uid if self._everything or info.uid == uid else info.uid,
            self._to.st_gid if self._everything or info.gid == gid else info.gid,
        )


def _parts(name: str) -> list[str]:
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts or "\0" in name:
        _refuse("a path that leads out of the volume", name)
    return parts


def _mode(path: Path) -> int:
    try:
        return path.lstat().st_mode
    except FileNotFoundError:
        return 0


def _refuse(what: str, found: str) -> NoReturn:
    raise ValueError(f"it holds {what}: {found!r}")


def swap(volume: Path) -> None:
    """Put what was unpacked in the place of a volume's files: a rename for each at the top."""
    part, owner = volume / PART, volume.lstat()
    volume.chmod(stat.S_IMODE(part.lstat().st_mode))
    os.chown(part, owner.st_uid, owner.st_gid)
    part.rename(volume / NEW)
    _finish_swap(volume)


def _finish_swap(volume: Path) -> None:
    """Also one that was cut off. As long as there is no OLD, nothing of the new is in place."""
    new, going, old = (volume / name for name in (NEW, GOING, OLD))
    if new.exists() and not old.exists():
        going.mkdir(exist_ok=True)
        for path in [path for path in volume.iterdir() if not path.name.startswith(MARK)]:
            path.rename(going / path.name)
        going.rename(old)
    if new.exists():
        for path in list(new.iterdir()):
            path.rename(volume / path.name)
        new.rmdir()
    if old.exists():
        shutil.rmtree(old)


def discard(volume: Path) -> None:
    """Remove what a restore that failed left, and finish one that was cut off in its last step."""
    shutil.rmtree(volume / PART, ignore_errors=True)
    _finish_swap(volume)


def entries(volume: Path) -> int:
    """How many files and folders are at the top of a volume."""
    return sum(not path.name.startswith(MARK) for path in volume.iterdir())


def main(task: str, asked: list[dict[str, Any]]) -> Any:
    """Do `task` on each volume of `asked`, and return what is to be said of it."""
    if task == "own":
        return [own(Path(each.pop("volume")), **each) for each in asked]
    ((volume, more),) = ((Path(each.pop("volume")), each) for each in asked)
    if task == "backup":
        out = sys.stdout.buffer
        with tarfile.open(fileobj=out, format=tarfile.PAX_FORMAT, **more) as tar:
            packer = Packer(tar)
            packer.run(volume)
        out.flush()
        return packer.said
    if task == "unpack":
        discard(volume)
        unpacker = Unpacker(volume, **more)
        unpacker.run(sys.stdin.buffer)
        return unpacker.said
    return {"swap": swap, "discard": discard, "entries": entries}[task](volume)


if __name__ == "__main__":
    try:
        result = {"said": main(sys.argv[1], json.loads(sys.argv[2]))}
    except _EXPLAINED as error:
        full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
        result = {"error": "the disk is full" if full else str(error) or type(error).__name__}
    print(json.dumps(result), file=sys.stderr)
    sys.exit("error" in result)
