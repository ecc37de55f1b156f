"""The ledger of a project: what was done to it, one JSON object a line, only ever appended to.

The form is in docs/releases.md. A writer may be killed at any byte: a line that was cut off stays
where it is, is told from a whole one (an object that lacks its end is no JSON) and costs no other.
Beside the ledger, by their digests, lie the locks that were applied.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from iac_wrapper.errors import CommandError, ConfigError
from iac_wrapper.files import file_lock
from iac_wrapper.files.atomic import write_text

VERSION = 1
"""Of a line. More fields and more types of lines are no other version: readers pass over what they
do not know."""

Line = Mapping[str, Any]

_SHAPES = {
    "by": dict,
    "error": dict,
    "moved": list,
    "failed": list,
    "broken": list,
    "changed": dict,
    "done": list,
    "at": str,
}
"""What readers take for granted of fields that are there."""


@dataclass(frozen=True)
class Pages:
    """What a ledger says: its whole lines in order, and the numbers (from 1) of lines that are cut
    off."""

    lines: Sequence[Line] = ()
    torn: Sequence[int] = ()

    @property
    def last_number(self) -> int:
        """The highest number of a release or event; 0: there is none."""
        return max((line["n"] for line in self.lines), default=0)

    def has_end(self, number: int) -> bool:
        """Whether the release `number` has its last line."""
        return any(line["n"] == number and line["type"] == "ended" for line in self.lines)


@dataclass(frozen=True)
class Ledger:
    """The ledger in `folder`, which is made (0700) by the first line."""

    folder: Path

    @property
    def path(self) -> Path:
        """The file of lines, 0600."""
        return self.folder / "ledger.jsonl"

    def read(self) -> Pages:
        """All of it; nothing if there is no ledger.

        Raises:
            ConfigError: it cannot be read, or a newer version wrote it.
        """
        try:
            return self._pages(self.path.read_bytes())
        except FileNotFoundError:
            return Pages()
        except OSError as error:
            raise ConfigError(
                "cannot read the ledger of releases",
                where=str(self.path),
                found=error.strerror,
                next_step="run as the user who deployed first",
            ) from None

    def append(self, line: Line, *, number: int | None = None) -> int:
        """Write one line to the disk itself; waits for other writers.

        Args:
            line: its fields but for ``v`` and ``n``.
            number: of the release that it goes on with, None for a new release or event. A release
                has one end: another is not written.

        Returns:
            The number.

        Raises:
            ConfigError: as `read`.
            CommandError: it cannot be written.
        """
        try:
            with file_lock.hold(self._open()):
                data = self.path.read_bytes()
                pages = self._pages(data)
                given = number or pages.last_number + 1
                if number and line["type"] == "ended" and pages.has_end(number):
                    return given
                text = json.dumps({"v": VERSION, "n": given, **line}) + "\n"
                # What was cut off stays a line of its own.
                self._write(("\n" if data and not data.endswith(b"\n") else "") + text)
        except OSError as error:
            raise CommandError(
                "cannot write the ledger of releases",
                where=str(self.path),
                found=error.strerror,
                next_step="make room on the disk or correct the owner, then run the command again",
            ) from None
        return given

    def keep_lock(self, text: str) -> str:
        """Keep the lock `text` as it is.

        Returns:
            Its name, the SHA-256 of the text in hexadecimal.
        """
        digest = digest_of(text)
        path = self._lock_path(digest)
        if not path.exists():
            self._make_folder()
            write_text(path, text, mode=0o600)
        return digest

    def lock_text(self, digest: str) -> str:
        """The text of a lock that was kept.

        Raises:
            ConfigError: it is gone, or is not what it was.
        """
        path = self._lock_path(digest)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            found = str(error)
        else:
            if digest_of(text) == digest:
                return text
            found = "another content than its name says"
        raise ConfigError(
            "the lock of a release cannot be read",
            where=str(path),
            found=found,
            next_step="name another release: `iac releases` lists them",
        )

    def _lock_path(self, digest: str) -> Path:
        return self.folder / "locks" / f"{digest}.json"

    def _make_folder(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)

    def _open(self) -> int:
        self._make_folder()
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(self.path, flags, 0o600)
        if stat.S_IMODE(os.fstat(fd).st_mode) != 0o600:
            os.fchmod(fd, 0o600)
        return fd

    def _write(self, text: str) -> None:
        with self.path.open("ab", buffering=0) as file:
            data = text.encode("ascii")
            while data:
                data = data[file.write(data) :]
            os.fsync(file.fileno())

    def _pages(self, data: bytes) -> Pages:
        lines: list[Line] = []
        torn: list[int] = []
        for number, text in enumerate(data.split(b"\n"), 1):
            line = _parsed(text)
            if line is None and text:
                torn.append(number)
            elif line and line["v"] > VERSION:
                raise ConfigError(
                    "a newer version of iac wrote the ledger of releases",
                    where=f"{self.path}:{number}",
                    found=f"version {line['v']}",
                    expected=f"version {VERSION}",
                    next_step="run that version of iac",
                )
            elif line:
                lines.append(line)
        return Pages(tuple(lines), tuple(torn))


def digest_of(text: str) -> str:
    """What names a lock."""
    return hashlib.sha256(text.encode()).hexdigest()


def _parsed(text: bytes) -> Line | None:
    """The line; None if it is none."""
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(line, dict) or not isinstance(line.get("type"), str):
        return None
    counts = line.get("v"), line.get("n")
    whole = all(isinstance(line.get(name, shape()), shape) for name, shape in _SHAPES.items())
    return line if whole and all(type(count) is int and count > 0 for count in counts) else None
