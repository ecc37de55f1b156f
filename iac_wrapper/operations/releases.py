"""Which versions of a service were proven, and whose containers are stopped because none was.

Written by every deploy; read to go back, to keep images and to leave stopped services alone.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from iac_wrapper.errors import ConfigError
from iac_wrapper.files import env_files
from iac_wrapper.files.atomic import write_text
from iac_wrapper.files.lock_file import app_from_json, app_to_json
from iac_wrapper.model.app import ResolvedApp
from iac_wrapper.model.health import Health
from iac_wrapper.model.lock import LockFile
from iac_wrapper.model.needs import awaited
from iac_wrapper.model.report import ServiceReport
from iac_wrapper.operations import kept_logs, schedules
from iac_wrapper.operations.workspace import Workspace

NamedServices = frozenset[str]
"""Services that a person asked for one by one."""

_VERSION = 1
_MOST_ENTRIES = 20
"""Per service: many versions may share one image, for instance with another `env:`."""


@dataclass(frozen=True)
class Release:
    """A version that was proven: its entry of the lock, and when it was (UTC)."""

    app: ResolvedApp
    at: datetime


@dataclass(frozen=True)
class StoppedService:
    """Why a service is stopped: when its first version was found to fail (UTC), with what cause and
    evidence, and what to do about that. Records of before this was noted have none of it."""

    at: datetime | None = None
    cause: str = ""
    evidence: str = ""
    next_step: str = ""

    @classmethod
    def after(cls, report: ServiceReport, at: datetime) -> StoppedService:
        """That of a service whose proof came to `report`."""
        if report.diagnosis is None:
            return cls(at)
        finding = report.diagnosis.finding
        return cls(at, finding.cause, finding.evidence, finding.next_step)

    @property
    def text(self) -> str:
        """What is known of the failure, in which the name of another service may stand."""
        return f"{self.cause} {self.evidence}"

    def health(self, service: str, again: str) -> Health:
        """What to say of it in place of an answer; the command `again` tries it once more."""
        when = f" at {self.at:%Y-%m-%d %H:%M:%S} UTC" if self.at else ""
        why = f": {self.cause}" if self.cause else ""
        return Health(
            service,
            "UNREACHABLE",
            "FAILED",
            message=f"its first version failed, and the deploy stopped it{when}{why}",
            cause="stopped",
            evidence=self.evidence,
            next_step=f"{self.next_step}; then {again}" if self.next_step else again,
        )


@dataclass(frozen=True)
class UnstartedService:
    """What the last deploy did not start: its entry, why, and what to do about that."""

    app: ResolvedApp
    cause: str
    next_step: str


@dataclass(frozen=True)
class Releases:
    """By service: what was proven, newest first. `stopped`: services that stay down, because no
    version of them was ever proven, until they change or are deployed by name. `released`: what a
    service's release command last succeeded for, see `release_command.fingerprint`. `unstarted`:
    services that the last deploy was to start for the first time, and did not."""

    good: Mapping[str, Sequence[Release]] = field(default_factory=dict)
    stopped: Mapping[str, StoppedService] = field(default_factory=dict)
    released: Mapping[str, str] = field(default_factory=dict)
    unstarted: Mapping[str, UnstartedService] = field(default_factory=dict)

    def last_good(self, service: str) -> ResolvedApp | None:
        """The newest proven version."""
        known = self.good.get(service)
        return known[0].app if known else None

    def has_news(self, service: str, waits: Collection[str], moving: Collection[str]) -> bool:
        """Whether something that a stopped service waits for is `moving`, or was proven since."""
        since = self.stopped[service].at
        proven = [self.good[name][0].at for name in waits if self.good.get(name)]
        return bool(set(waits) & set(moving)) or bool(since and any(at > since for at in proven))

    def images(self, service: str) -> set[str]:
        """The tags that going back would need."""
        return {release.app.image for release in self.good.get(service, ())}

    def proven(self, apps: Collection[ResolvedApp], *, keep: int) -> Releases:
        """With `apps` as the newest versions; of each service the last `keep` images stay."""
        now = datetime.now(UTC)
        added = {app.name: _latest(self.good.get(app.name, ()), app, now, keep) for app in apps}
        return replace(self, good={**self.good, **added})

    def tried(self, services: Collection[str]) -> Releases:
        """Without the note that `services` are stopped."""
        stopped = {name: why for name, why in self.stopped.items() if name not in services}
        return replace(self, stopped=stopped)

    def only(self, services: Collection[str]) -> Releases:
        """Without services that are no more."""
        good = {name: known for name, known in self.good.items() if name in services}
        stopped = {name: why for name, why in self.stopped.items() if name in services}
        released = {name: what for name, what in self.released.items() if name in services}
        return replace(self, good=good, stopped=stopped, released=released)


def load_releases(workspace: Workspace) -> Releases:
    """What is recorded; nothing if the project is new.

    Raises:
        ConfigError: the record cannot be read.
    """
    path = workspace.layout.releases(workspace.project)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return _from_json(data)
    except FileNotFoundError:
        return Releases()
    except (OSError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise ConfigError(
            "cannot read the record of proven versions",
            where=str(path),
            found=f"{type(error).__name__}: {error}",
            next_step="delete the file; the next deploy begins a new one",
        ) from None


def save_releases(workspace: Workspace, releases: Releases) -> None:
    """Write the record whole or not at all."""
    services = {
        name: [{"at": r.at.isoformat(), "app": app_to_json(r.app)} for r in known]
        for name, known in releases.good.items()
    }
    stopped = {
        name: {**asdict(why), "at": why.at and why.at.isoformat()}
        for name, why in releases.stopped.items()
    }
    data = {"version": _VERSION, "good": services, "stopped": stopped}
    data |= {"released": dict(releases.released)} if releases.released else {}
    unstarted = {
        name: {"app": app_to_json(it.app), "cause": it.cause, "next_step": it.next_step}
        for name, it in releases.unstarted.items()
    }
    data |= {"unstarted": unstarted} if unstarted else {}
    text = json.dumps(data, indent=2, sort_keys=True) + "\n"
    write_text(workspace.layout.releases(workspace.project), text, mode=0o600)


def wake(
    workspace: Workspace,
    wanted: LockFile,
    values: Mapping[str, Mapping[str, str]],
    named: NamedServices,
    waiting: Collection[str] = (),
) -> frozenset[str]:
    """Give stopped services another try, but for those that are `resting` and those that are
    `waiting` for others; return these."""
    known = load_releases(workspace)
    still = resting(workspace, wanted, values, named) | (known.stopped.keys() & set(waiting))
    if still != known.stopped.keys():
        save_releases(workspace, known.tried(known.stopped.keys() - still))
    return still


def resting(
    workspace: Workspace,
    wanted: LockFile,
    values: Mapping[str, Mapping[str, str]],
    named: NamedServices,
) -> frozenset[str]:
    """Stopped services that stay so: they are not `named`, and neither they nor what they wait for
    gets another version or value, or was proven since."""
    known = load_releases(workspace)
    if not known.stopped:
        return frozenset()
    moving = _moving(workspace, wanted, values) | (named & known.stopped.keys())
    names = {app.name for app in wanted.apps}
    still = (known.stopped.keys() & names) - moving
    waits = {
        app.name: awaited(app, known.stopped[app.name].text, names)
        for app in wanted.apps
        if app.name in still
    }
    while woken := {name for name in still if known.has_news(name, waits[name], moving)}:
        moving |= woken
        still -= woken
    return frozenset(still)


def tried_for_others(
    workspace: Workspace,
    wanted: LockFile,
    values: Mapping[str, Mapping[str, str]],
    named: NamedServices,
) -> frozenset[str]:
    """Stopped services that are tried again for the sake of what they wait for alone."""
    stopped = load_releases(workspace).stopped.keys()
    if not stopped:
        return frozenset()
    quiet = resting(workspace, wanted, values, named)
    return frozenset(stopped - quiet - named - _moving(workspace, wanted, values))


def _moving(
    workspace: Workspace, wanted: LockFile, values: Mapping[str, Mapping[str, str]]
) -> set[str]:
    """Services that get another version or value, or their first one."""
    applied = workspace.applied_lock()
    entries = {app.name: app for app in applied.apps} if applied else {}
    return {
        app.name
        for app in wanted.apps
        if entries.get(app.name) != app
        or env_files.read_values(workspace.layout.env_files(workspace.project, app.name))
        != dict(values[app.name])
    }


def finish(workspace: Workspace, lock: LockFile, releases: Releases) -> None:
    """Record what was proven, and drop what belongs to services that are not in `lock`."""
    names = {app.name for app in lock.all_apps}
    known = releases.only(names)
    save_releases(workspace, known)
    schedules.keep(workspace, lock)
    kept_logs.only(workspace, names)


def _latest(
    known: Sequence[Release], app: ResolvedApp, now: datetime, keep: int
) -> Sequence[Release]:
    if known and known[0].app == app:
        return known
    images: set[str] = set()
    kept: list[Release] = []
    for release in [Release(app, now), *(r for r in known if r.app != app)]:
        images.add(release.app.image)
        if len(images) > keep:
            break
        kept.append(release)
    return kept[:_MOST_ENTRIES]


def _from_json(data: Mapping[str, Any]) -> Releases:
    if data["version"] != _VERSION:
        raise ValueError(f"version {data['version']!r}")
    good = {
        name: [
            Release(app_from_json(name, item["app"]), datetime.fromisoformat(item["at"]))
            for item in known
        ]
        for name, known in data["good"].items()
    }
    found = data["stopped"]  # a list of names in records of before the reason was noted
    known = found if isinstance(found, dict) else {name: {} for name in found}
    stopped = {name: _stopped(why) for name, why in known.items()}
    unstarted = {
        name: UnstartedService(app_from_json(name, it["app"]), it["cause"], it["next_step"])
        for name, it in data.get("unstarted", {}).items()
    }
    return Releases(good, stopped, dict(data.get("released", {})), unstarted)


def _stopped(data: Mapping[str, Any]) -> StoppedService:
    at = data.get("at")
    return StoppedService(**{**data, "at": datetime.fromisoformat(at) if at else None})
