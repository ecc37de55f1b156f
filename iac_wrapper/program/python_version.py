"""Which Python an app's image gets: what the project asks for, out of what can be had here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from iac_wrapper.errors import EntrypointError
from iac_wrapper.files.machine_home import setup_command
from iac_wrapper.model.pythons import SUPPORTED, newest_first
from iac_wrapper.program.locked_wheels import (
    Wheels,
    locked_wheels,
    newest_with_wheels,
    without_wheel,
)
from iac_wrapper.program.pinned_wheels import no_wheels, pinned_wheels
from iac_wrapper.program.python_pins import Pin, dockerfile_python, python_pins
from iac_wrapper.program.python_project import REQUIREMENTS, inside
from iac_wrapper.program.python_ranges import Range, python_ranges

_OLDER = ("3.10", "3.9", "3.8", "3.7", "3.6", "2.7")
"""What only an image of somebody else can have, newest first."""


@dataclass(frozen=True)
class PythonChoice:
    """A minor version (``3.11``), one sentence fragment why, and sentences on what was not met.

    `check` is the range to hold the image's Python against, empty if any patch release is in it.
    """

    version: str
    reason: str
    notes: tuple[str, ...] = ()
    check: str = ""


def choose_python(  # noqa: PLR0913 - the checkout, what can be had, and what counts of it
    root: Path,
    *,
    default: str,
    available: Iterable[str],
    script: str | None = None,
    more: Callable[[], Iterable[str]] = tuple,
    pinned: bool = False,
) -> PythonChoice:
    """The Python for the checkout `root`.

    Args:
        root: the checkout's directory; only read.
        default: the version of the settings, taken when nothing speaks against it.
        available: minor versions that this machine has a base image for.
        script: the Python file that is run, whose own metadata (PEP 723) counts too.
        more: gives the minor versions that one could be made for; asked only if it matters.
        pinned: whether requirements.txt is installed as it is, with nothing to compile it with.

    Raises:
        EntrypointError: nothing that can be had is what the project asks for.
        SourceError: pyproject.toml or a script's metadata is not TOML.
    """
    files, (lock, wheels) = python_pins(root), locked_wheels(root)
    pins, shown = files[0] if files else (), dockerfile_python(root)
    if pinned and not lock and (of_pins := pinned_wheels(root)):
        lock, wheels = REQUIREMENTS, of_pins
    asked = _Asked(default, python_ranges(root, script), pins, lock, wheels, shown)
    versions = newest_first(available)
    found = asked.best(versions)
    if found is None or not asked.is_certain(found):
        versions = newest_first([*versions, *more()])
        found = asked.best(versions)
    if found is None:
        error = _unmet(asked, versions)
        if inside(root, "Dockerfile") and error.next_step:
            error.next_step += (
                "; or write `build: dockerfile`: the Dockerfile brings a Python of its own"
            )
        elif error.next_step and (older := _fitting(asked, _OLDER)):
            error.next_step += (
                f"; or add a Dockerfile on python:{older[0]}-slim, and write `build: dockerfile`:"
                f" images that KarstKit makes have Python {SUPPORTED[-1]} or newer"
            )
        raise error
    if found.lacking and asked.is_pinned:
        raise no_wheels(root, found.lacking, found.version)
    return PythonChoice(
        found.version,
        asked.reason(found),
        (*_pin_notes(asked, found), *_other_files(files, found), *_lacking(asked, found)),
        asked.check(found.version),
    )


@dataclass(frozen=True)
class _Found:
    """A version, the pin that it meets, a fragment on why a newer one was passed over, and the
    packages for which the lock has wheels, and none for this version."""

    version: str
    pin: Pin | None = None
    newer: str = ""
    lacking: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Asked:
    """Everything that is asked for: `ranges` all hold, of `pins` the first that can be met.

    `wheels` are those that the file `lock` names; `shown` is what the author's Dockerfile runs on.
    """

    default: str
    ranges: tuple[Range, ...]
    pins: tuple[Pin, ...]
    lock: str
    wheels: Wheels
    shown: str | None = None

    def best(self, versions: Sequence[str]) -> _Found | None:
        """What is taken of `versions`, newest first.

        A pin that cannot be met is given up only for a range, in which the author says that other
        versions do.
        """
        allowed = [version for version in versions if self.allows(version)]
        for pin in self.pins:
            if fits := [version for version in allowed if pin.allows(version)]:
                return replace(self._preferred(fits), pin=pin)
        if self.pins and not self.ranges:
            return None
        if not self.ranges:
            return self._unasked(versions) if self.default in versions else None
        return self._preferred(allowed) if allowed else None

    @property
    def is_pinned(self) -> bool:
        """Whether the wheels are those of versions that requirements pin."""
        return self.lock == REQUIREMENTS

    def _unasked(self, versions: Sequence[str]) -> _Found:
        """The default, or the nearest version for which what is pinned has wheels."""
        lacking = without_wheel(self.wheels, self.default) if self.is_pinned else []
        fits = (v for v in versions if lacking and not without_wheel(self.wheels, v))
        if other := next(fits, None):
            return _Found(other, newer=f"{lacking[0]} in {self.lock} has no wheel for the default")
        return _Found(self.default, lacking=tuple(lacking))

    def is_certain(self, found: _Found) -> bool:
        """Whether no other version could be taken instead."""
        if not (self.pins or self.ranges):
            return not found.lacking
        return bool(found.pin and found.pin == self.pins[0] and found.pin.minor)

    def allows(self, version: str) -> bool:
        """Whether all ranges have it."""
        return all(one.allows(version) for one in self.ranges)

    def partly(self, version: str) -> list[Range]:
        """The ranges that hold for some patch releases of it only."""
        return [one for one in self.ranges if not one.allows_all(version)]

    def check(self, version: str) -> str:
        """What the installer has to hold the patch release of `version` against."""
        partly = [one.alternatives for one in self.partly(version)]
        return ",".join(str(alternatives[0]) for alternatives in partly if len(alternatives) == 1)

    def reason(self, found: _Found) -> str:
        """Why it was taken, as a fragment."""
        if found.pin:
            return f"{found.pin.where} asks for it{found.newer}"
        if not self.ranges:
            return found.newer or "the default"
        return " and ".join(one.said for one in self.ranges) + found.newer

    def _preferred(self, fits: Sequence[str]) -> _Found:
        """The newest: among those that fit whatever their patch release is, and of these among
        those for which the lock has wheels. What the author runs on comes before a newer one."""
        sure = [version for version in fits if not self.partly(version)] or fits
        lacking = {version: without_wheel(self.wheels, version) for version in sure}
        if (shown := self.shown) and shown in sure[1:] and not lacking[shown]:
            return _Found(shown, newer=", and the Dockerfile is built on it")
        best = next((version for version in sure if not lacking[version]), None)
        # Where all of them lack wheels: the one that lacks the fewest, and is nearest to the lock.
        best = best or min(reversed(sure), key=lambda version: len(lacking[version]))
        if best == sure[0]:
            return _Found(best, lacking=tuple(lacking[best]))
        newer = f"; {lacking[sure[0]][0]} in {self.lock} has no wheel for {sure[0]}"
        return _Found(best, newer=newer, lacking=tuple(lacking[best]))


def _unmet(asked: _Asked, versions: Sequence[str]) -> EntrypointError:
    """Nothing fits: what was asked for and where, what there is, and what would help."""
    there = " or ".join(versions) or "none at all"
    if asked.pins and not asked.ranges:
        names = " or ".join(pin.text for pin in asked.pins)
        other = all(pin.range is None for pin in asked.pins)
        return EntrypointError(
            f"Python {names} cannot be had here"
            + (": it is no version of CPython" if other else ""),
            where=asked.pins[0].where,
            found=names,
            expected=f"a version that can be had: {there}",
            next_step=_help(asked, f"write one of these in {asked.pins[0].where}"),
        )
    if not asked.ranges:
        return EntrypointError(
            f"no base image for Python {asked.default} on this machine",
            where="IAC_PYTHON_VERSION",
            found=there,
            next_step=setup_command(IAC_PYTHON_VERSION=asked.default),
        )
    excluding = [one for one in asked.ranges if not any(map(one.allows, versions))]
    first = (excluding or asked.ranges)[0]
    return EntrypointError(
        "the project needs a Python that cannot be had here",
        where=first.where,
        found="; ".join(one.said for one in asked.ranges),
        expected=f"a range that includes {there}",
        next_step=_help(asked, first.edit),
    )


def _help(asked: _Asked, edit: str) -> str:
    """An edit, and for what the tool could run the image that the engine would need."""
    wanted = _fitting(asked, SUPPORTED)
    if not wanted:
        return edit
    image = f"python:{wanted[0]}-slim"
    return f"docker pull {image} (or docker load from a file), then the same command; or {edit}"


def _fitting(asked: _Asked, versions: Sequence[str]) -> list[str]:
    return [
        version
        for version in versions
        if asked.allows(version)
        and (not asked.pins or any(pin.allows(version) for pin in asked.pins))
    ]


def _pin_notes(asked: _Asked, found: _Found) -> list[str]:
    """What the version file that counts asks for and does not get."""
    start = f"python {found.version}: "
    if pin := found.pin:
        notes = []
        if pin.patch:
            notes.append(f"{pin.text}, the patch release is that of the base image")
        if pin.threads:
            notes.append(f"{pin.text}, base images have no free-threaded build")
        found_notes = [f"{start}{pin.where} asks for {note}" for note in notes]
        if before := [each.text for each in asked.pins[: asked.pins.index(pin)]]:
            words = "are no versions" if len(before) > 1 else "is no version"
            said = f"{' and '.join(before)}, which {words} that can be had here"
            found_notes.insert(0, f"{start}before it, {pin.where} names {said}")
        return found_notes
    if not asked.pins:
        return []
    wished = " or ".join(pin.text for pin in asked.pins)
    minors = [pin.minor for pin in asked.pins if pin.minor]
    excluding = [one for one in asked.ranges if minors and not any(map(one.allows, minors))]
    why = f"which {excluding[0].said} excludes" if excluding else "which cannot be had here"
    allowed = "" if excluding else f"; {asked.ranges[0].said} allows others"
    return [f"{start}{asked.pins[0].where} asks for {wished}, {why}{allowed}"]


def _other_files(files: Sequence[Sequence[Pin]], found: _Found) -> list[str]:
    """A note on each version file after the first that asks for another version."""
    return [
        f"python {found.version}: {pins[0].where} asks for {' or '.join(pin.text for pin in pins)},"
        f" and {files[0][0].where} counts before it"
        for pins in files[1:]
        if not any(pin.allows(found.version) for pin in pins)
    ]


def _lacking(asked: _Asked, found: _Found) -> list[str]:
    """A note on what has to be compiled, if nothing at all is as old as the lock."""
    if not found.lacking:
        return []
    first, *others = found.lacking
    names = f"{first} and {len(others)} more" if others else first
    have = "have wheels" if others else "has wheels"
    newest = newest_with_wheels(asked.wheels, found.lacking)
    until = f" up to Python {newest}" if newest else ""
    return [
        f"python {found.version}: in {asked.lock}, {names} {have}{until} and none for it:"
        " what is installed of them is compiled, if it can be; a newer lock has newer wheels"
    ]
