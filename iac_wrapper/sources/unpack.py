"""Unpack a tar file from strangers: regular files, directories, and links that stay inside.

Nothing is ever followed on disk. Files and directories are written first, while no link exists;
links are kept in a table, judged against the whole table (`LinkTable`), and those that stay inside
are made last. So a link followed by a file "through" it, in whatever order and by whatever chain,
has nothing to go through.
`tarfile`'s own extraction filters are not used: Python 3.11.7's ``data`` filter lets a link chain
out (measured).
"""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from iac_wrapper.errors import SourceError
from iac_wrapper.files.public_tree import file_mode, make_directory
from iac_wrapper.model.omission import Omission
from iac_wrapper.sources.link_table import LinkTable, Parts

MAX_ENTRIES = 100_000
"""Files, directories and links; the Linux kernel has about 90,000."""

MAX_RATIO = 200
"""Unpacked over packed bytes; source code reaches 3 to 10, gzip's limit is about 1030."""

_RATIO_FROM = 10 * 10**6  # bytes below which no ratio is dangerous
_MAX_HEADER = 2**20  # bytes; extended headers hold a path or two and are read into memory whole
_TAR_OVERHEAD = 2048  # bytes of headers and padding an entry may add to the stream
# RecursionError: tarfile goes one call deeper for each extended header in a row.
_BROKEN = (
    tarfile.TarError,
    zlib.error,
    EOFError,
    gzip.BadGzipFile,
    ValueError,
    RecursionError,
)
_HEADER_TYPES = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)


@dataclass(frozen=True)
class SourceLimits:
    """`max_bytes`: all regular files together; `max_entries`: files, links and folders."""

    max_bytes: int
    max_entries: int = MAX_ENTRIES

    def check(self, size: int, count: int, *, of: str, instead: str = "") -> None:
        """Hold a source of `size` bytes in `count` entries against the limits.

        Args:
            of: what has this size.
            instead: what would help as well as a higher limit.

        Raises:
            SourceError: one is exceeded; it names that one.
        """
        if size > self.max_bytes:
            most = f"{self.max_bytes / 10**6:g} MB"
            raise SourceError(
                "the source is too large",
                found=f"{of}: more than {most}",
                expected=f"at most {most}, the limit that IAC_FETCH_MAX_MB sets",
                next_step="raise IAC_FETCH_MAX_MB in .env" + (f", or {instead}" if instead else ""),
            )
        if count > self.max_entries:
            raise SourceError(
                "the source has too many files",
                found=f"{of}: more than {self.max_entries} files, folders and links",
                expected=f"at most {self.max_entries}, which no setting changes",
                next_step=instead or "take out of the repository what is not source",
            )


def unpack(
    archive: Path, to: Path, limits: SourceLimits, *, strip_top: bool, commit: str | None = None
) -> tuple[Omission, ...]:
    """Unpack `archive` (.tar or .tar.gz) into `to`, a directory that does not exist yet.

    Args:
        archive: the file.
        to: made here; left behind half-filled on an error. Modes in it are 0755 and 0644
            exactly, whatever the archive and the umask say.
        limits: caps.
        strip_top: drop the one top directory all entries lie in.
        commit: checked against the commit that `git archive` notes in the global header, if
            there is one.

    Returns:
        What is said of links: those that would lead out are not made.

    Raises:
        SourceError: the archive is broken, too large, or holds something that could leave `to`.
    """
    make_directory(to)
    with _explained(archive), archive.open("rb") as raw:
        packed = archive.stat().st_size
        capped = _Capped(_decompressed(raw), packed, limits)
        stream = cast("IO[bytes]", capped)
        with tarfile.open(fileobj=stream, mode="r|", tarinfo=_CheckedTarInfo) as tar:
            omissions = _Unpacker(to, limits, strip_top=strip_top).run(tar)
            _check_commit(tar, commit)
        capped.drain()
    return omissions


class _Unpacker:
    def __init__(self, to: Path, limits: SourceLimits, *, strip_top: bool) -> None:
        self._to = to
        self._limits = limits
        self._strip_top = strip_top
        self._top: str | None = None
        self._table = LinkTable()
        self._bytes = 0

    def run(self, tar: tarfile.TarFile) -> tuple[Omission, ...]:
        for count, member in enumerate(tar, start=1):
            self._limits.check(0, count, of="the archive")
            parts = self._parts(member)
            if parts:
                self._entry(tar, member, parts)
            # tarfile remembers every member; a stream has no use for them.
            tar.members = []  # type: ignore[attr-defined]
        verdict = self._table.judge()
        for parts, target in verdict.good:
            self._to.joinpath(*parts).symlink_to(target)
        return verdict.omissions

    def _parts(self, member: tarfile.TarInfo) -> Parts:
        name = member.name
        parts = tuple(part for part in name.split("/") if part not in {"", "."})
        if name.startswith("/") or ".." in parts or "\0" in name:
            raise _refused("a path that leaves the archive", repr(name))
        if any(part.casefold() == ".git" for part in parts):
            raise _refused("a .git entry, which git itself never archives", repr(name))
        if not self._strip_top or not parts:
            return parts
        self._top = self._top or parts[0]
        if parts[0] != self._top or (len(parts) == 1 and not member.isdir()):
            raise _refused("more than one top directory", f"{self._top!r} and {name!r}")
        return parts[1:]

    def _entry(self, tar: tarfile.TarFile, member: tarfile.TarInfo, parts: Parts) -> None:
        self._make_parents(parts)
        path = self._to.joinpath(*parts)
        if member.isdir():
            if self._table.add_directory(parts):
                make_directory(path)
        elif member.issym():
            self._table.add_link(parts, member.linkname)
        elif member.isreg() and not member.issparse():
            self._table.add_file(parts)
            self._write(tar, member, path)
        else:
            raise _refused("neither file, directory nor symbolic link", repr(member.name))

    def _make_parents(self, parts: Parts) -> None:
        for depth in range(1, len(parts)):
            if self._table.add_directory(parts[:depth]):
                make_directory(self._to.joinpath(*parts[:depth]))

    def _write(self, tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
        self._bytes += member.size
        self._limits.check(self._bytes, 0, of="the archive, unpacked")
        source = tar.extractfile(member)
        assert source is not None  # noqa: S101 - a regular file has content
        # Of the mode only "executable" counts: set-uid and write bits are nobody's business.
        mode = file_mode(member.mode)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with os.fdopen(os.open(path, flags, mode), "wb") as file:
            while chunk := source.read(256 * 1024):
                file.write(chunk)
            os.fchmod(file.fileno(), mode)


class _CheckedTarInfo(tarfile.TarInfo):
    """Refuses headers that would make `tarfile` read memory full or run backwards.

    Not in `frombuf`: Pythons with newer checks of headers (Debian 12's 3.11.2 after its updates)
    do not call it any more.
    """

    @classmethod
    def fromtarfile(cls, tar: tarfile.TarFile) -> _CheckedTarInfo:
        try:
            return super().fromtarfile(tar)
        except tarfile.HeaderError as error:
            # Anything but the end mark would silently end the iteration with half of the tree.
            if type(error).__name__ == "EOFHeaderError":
                raise
            raise tarfile.ReadError(str(error)) from None

    def _proc_member(self, tar: tarfile.TarFile) -> tarfile.TarInfo:
        """`tarfile` calls it with every header, before it reads what follows."""
        too_long = self.type in _HEADER_TYPES and self.size > _MAX_HEADER
        if self.size < 0 or too_long:
            raise _refused("an impossible header", f"{self.size} bytes in {self.name!r}")
        following: tarfile.TarInfo = super()._proc_member(tar)  # type: ignore[misc]
        return following


class _Capped(io.RawIOBase):
    """A reader that stops at the caps: the first thing a decompression bomb meets."""

    def __init__(self, source: IO[bytes], packed: int, limits: SourceLimits) -> None:
        self._source = source
        self._packed = max(packed, 1)
        self._limits = limits
        self._most = limits.max_bytes + _TAR_OVERHEAD * limits.max_entries
        self._seen = 0

    def read(self, size: int = -1, /) -> bytes:
        data = self._source.read(size)
        self._seen += len(data)
        if self._seen > self._most:
            self._limits.check(self._seen, 0, of="the archive, unpacked")
        if self._seen > _RATIO_FROM and self._seen > MAX_RATIO * self._packed:
            raise _refused("a decompression bomb", f"unpacks to over {MAX_RATIO} times its size")
        return data

    def drain(self) -> None:
        """Read to the end, so that gzip's checksum is compared."""
        while self.read(64 * 1024):
            pass


def _decompressed(raw: IO[bytes]) -> IO[bytes]:
    magic = raw.read(2)
    raw.seek(0)
    return cast("IO[bytes]", gzip.GzipFile(fileobj=raw)) if magic == b"\x1f\x8b" else raw


def _check_commit(tar: tarfile.TarFile, commit: str | None) -> None:
    noted = tar.pax_headers.get("comment")
    if commit and noted and noted != commit:
        raise SourceError(
            "the archive is of another commit",
            found=noted,
            expected=commit,
            next_step="run the command again",
            retryable=True,
        )


@contextmanager
def _explained(archive: Path) -> Iterator[None]:
    try:
        yield
    except _BROKEN as error:
        raise SourceError(
            "the archive is broken",
            found=f"{archive.name}: {error}",
            next_step="try again",
            retryable=True,
        ) from None
    except OSError as error:
        raise SourceError(
            "the archive cannot be unpacked here",
            found=error.strerror or str(error),
            next_step="make room on the disk of .iac/cache, then run the command again",
        ) from None


def _refused(what: str, found: str) -> SourceError:
    return SourceError(
        f"the source holds {what}",
        found=found,
        expected="files, directories, and links that stay inside",
        next_step="take it out of the repository",
    )
