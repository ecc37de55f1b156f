"""What a lock pins, and the requirements file that says the same."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from packaging.version import InvalidVersion, Version

from iac_wrapper.errors import SourceError
from iac_wrapper.program.locks import markers
from iac_wrapper.program.locks.markers import ALWAYS, Condition
from iac_wrapper.program.locks.names import canonical

_HASH = re.compile(r"[a-z0-9]+:[0-9a-f]+")
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_ADDRESS = re.compile(r"[!-~]+")
_PYPI = re.compile(r"https?://pypi\.\w+/simple/?")
"""PyPI, which is the default index, or what this machine's settings put in its place."""


@dataclass(frozen=True)
class Pin:
    """One package: a version with the hashes of its files, or where it comes from.

    Pipenv leaves a package of another platform without a version. `url` is a direct reference
    (``git+https://…@sha``, ``https://….whl``); `path` a file or folder of the source, relative to
    the project; `condition` where it is wanted.
    """

    name: str
    version: str = ""
    hashes: tuple[str, ...] = ()
    url: str = ""
    path: str = ""
    condition: Condition = ALWAYS

    def line(self) -> str:
        """Its line of a requirements file."""
        version = f"=={self.version}" if self.version else ""
        target = f" @ {self.url}" if self.url else version
        marker = markers.text(self.condition)
        hashes = "".join(f" \\\n    --hash={one}" for one in sorted(self.hashes))
        return f"{canonical(self.name)}{target}{f' ; {marker}' if marker else ''}{hashes}"


@dataclass(frozen=True)
class Locked:
    """What is to be installed by a lock.

    `indexes` are the package indexes that it names; `builds_project` tells whether the lock
    is of a project that is installed itself; `stale` says how the lock differs from what it was
    made of, empty if it does not or if nothing tells; `notes` are sentences for people.
    """

    pins: tuple[Pin, ...]
    indexes: tuple[str, ...] = ()
    builds_project: bool = False
    stale: str = ""
    notes: tuple[str, ...] = ()

    @property
    def paths(self) -> tuple[str, ...]:
        """Files and folders of the source that are installed, but for the project itself."""
        return tuple(sorted({pin.path for pin in self.pins if pin.path}))

    @property
    def own_indexes(self) -> tuple[str, ...]:
        """The indexes beside PyPI, each once."""
        return tuple(sorted({one for one in self.indexes if not _PYPI.fullmatch(one)}))

    def requirements(self, lock: str) -> str:
        """The requirements file that pins the same.

        Args:
            lock: the name of the lock, for errors.

        Raises:
            SourceError: something in it cannot be what the tool wrote.
        """
        for pin in self.pins:
            _check(pin, lock)
        for index in self.indexes:
            if not _ADDRESS.fullmatch(index):
                raise _broken(lock, index)
        lines = [f"--extra-index-url {index}" for index in self.own_indexes]
        return "".join(f"{line}\n" for line in (*lines, *_lines(self.pins)))


def _lines(pins: Iterable[Pin]) -> list[str]:
    """One line for what a lock has several times: with extras, by group."""
    merged: dict[tuple[str, str, str], Pin] = {}
    for pin in pins:
        if pin.path or not pin.condition:
            continue
        key = (canonical(pin.name), pin.version, pin.url)
        old = merged.get(key, Pin(pin.name, pin.version, (), pin.url, condition=markers.NEVER))
        merged[key] = Pin(
            pin.name,
            pin.version,
            tuple({*old.hashes, *pin.hashes}),
            pin.url,
            condition=markers.either(old.condition, pin.condition),
        )
    return [merged[key].line() for key in sorted(merged)]


def _check(pin: Pin, lock: str) -> None:
    """A line of a requirements file is an option or an address as easily as a version."""
    if not _NAME.fullmatch(pin.name):
        raise _broken(lock, pin.name)
    if pin.url and not _ADDRESS.fullmatch(pin.url):
        raise _broken(lock, f"{pin.name}: {pin.url}")
    if pin.version and not (pin.url or pin.path):
        try:
            Version(pin.version)
        except InvalidVersion:
            raise _broken(lock, f"{pin.name}: version {pin.version!r}") from None
    for one in pin.hashes:
        if not _HASH.fullmatch(one):
            raise _broken(lock, f"{pin.name}: hash {one!r}")


def _broken(lock: str, found: str) -> SourceError:
    return SourceError(
        "the lock holds something that its tool does not write",
        where=lock,
        found=found[:200],
        next_step="write the lock anew with its tool, and commit it",
    )
