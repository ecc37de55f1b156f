"""Refuses a delivery that was accepted before, also after a restart.

A file of digests, one a line, newest last. It must not know what they are digests of.
"""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from admin.problem import Problem
from iac_wrapper.files.atomic import write_text

KEEP = 100_000
"""How many deliveries are remembered: 6.5 MB on disk. The oldest are forgotten first."""

_DIGEST = re.compile(r"[0-9a-f]{64}")

log = logging.getLogger("iac.admin")


class Replays:
    """The deliveries that were accepted. One instance per file; its methods may run in threads.

    Args:
        path: the file, 0600; made when the first delivery is accepted.
        keep: how many are remembered.
    """

    def __init__(self, path: Path, *, keep: int = KEEP) -> None:
        self._path = path
        self._keep = keep
        self._lock = threading.Lock()
        self._open: set[str] = set()
        lines = self._read()
        self._seen = dict.fromkeys([line for line in lines if _DIGEST.fullmatch(line)][-keep:])
        # A line that a full disk or a crash cut off: 0 makes the next delivery write a new file.
        self._lines = len(lines) if all(map(_DIGEST.fullmatch, lines)) else 0

    @contextmanager
    def once(self, key: str) -> Iterator[None]:
        """Accept the delivery `key` (64 hex digits) while the block runs.

        It is recorded when the block ends well. If it raises, the delivery can be sent again; one
        that comes while the block runs is refused.

        Raises:
            Problem: 409, it was accepted before.
        """
        with self._lock:
            if key in self._seen or key in self._open:
                raise Problem(409, "replayed", "this delivery was accepted before")
            self._open.add(key)
        try:
            yield
            with self._lock:
                self._record(key)
        finally:
            with self._lock:
                self._open.discard(key)

    def _record(self, key: str) -> None:
        """What the block did is done: a file that cannot be written must not undo the answer."""
        self._seen[key] = None
        while len(self._seen) > self._keep:
            del self._seen[next(iter(self._seen))]
        try:
            self._append(key)
        except OSError as error:
            self._lines = 0
            log.warning(
                "%s: a delivery is remembered until the next start only: %s", self._path, error
            )

    def _append(self, key: str) -> None:
        if self._lines == 0 or self._lines >= 2 * self._keep:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_text(self._path, "".join(f"{key}\n" for key in self._seen), mode=0o600)
            self._lines = len(self._seen)
            return
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        try:
            os.write(descriptor, f"{key}\n".encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self._lines += 1

    def _read(self) -> list[str]:
        try:
            text = self._path.read_text(encoding="ascii", errors="replace")
        except FileNotFoundError:
            return []
        return text.removesuffix("\n").split("\n") if text else []
