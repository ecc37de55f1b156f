"""What differs between two locks, by service: names, commits, images and ports, no values. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from iac_wrapper.model.app import ResolvedApp
from iac_wrapper.model.lock import LockFile
from iac_wrapper.model.options import KEYS

Change = tuple[Any, Any]
"""Before and after."""


@dataclass(frozen=True)
class ServiceDifference:
    """How one service differs; `stopped` and `started` are a person's doing, and may come with
    changes. `changes` are values that tell no secret (commit, slug, image, port,
    python); of variables and other keys there are the names alone."""

    name: str
    kind: Literal["added", "removed", "changed", "stopped", "started"]
    changes: Mapping[str, Change]
    env_added: tuple[str, ...] = ()
    env_removed: tuple[str, ...] = ()
    env_changed: tuple[str, ...] = ()
    keys_changed: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether it is no difference."""
        names = self.env_added or self.env_removed or self.env_changed or self.keys_changed
        return self.kind == "changed" and not self.changes and not names

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "name": self.name,
            "kind": self.kind,
            "changes": {name: list(change) for name, change in self.changes.items()},
            "env": {
                "added": list(self.env_added),
                "removed": list(self.env_removed),
                "changed": list(self.env_changed),
            },
            "keys": list(self.keys_changed),
        }


def differences(before: LockFile | None, after: LockFile | None) -> list[ServiceDifference]:
    """The services that differ, sorted by name; without a lock there are none."""
    old, new = _apps(before), _apps(after)
    found = [_compare(name, old.get(name), new.get(name)) for name in sorted({*old, *new})]
    rests = [{app.name for app in lock.parked} if lock else set() for lock in (before, after)]
    told = [_with_rest(each, *(each.name in names for names in rests)) for each in found]
    return [each for each in told if not each.is_empty]


def _with_rest(each: ServiceDifference, was: bool, is_now: bool) -> ServiceDifference:
    """`each`, told whether it was stopped before and is now."""
    if each.kind != "changed" or was == is_now:
        return each
    return replace(each, kind="stopped" if is_now else "started")


def mesh_changes(before: LockFile | None, after: LockFile | None) -> dict[str, Change]:
    """What differs of the project as a whole."""
    names = ("subnet", "gateway_port", "ingress_port", "environment")
    pairs = {name: (getattr(before, name, None), getattr(after, name, None)) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _apps(lock: LockFile | None) -> dict[str, ResolvedApp]:
    return {app.name: app for app in lock.all_apps} if lock else {}


def _compare(name: str, old: ResolvedApp | None, new: ResolvedApp | None) -> ServiceDifference:
    shown_old, shown_new = _shown(old), _shown(new)
    changes = {
        key: (shown_old.get(key), shown_new.get(key))
        for key in (*shown_new, *(key for key in shown_old if key not in shown_new))
        if shown_old.get(key) != shown_new.get(key)
    }
    if old is None or new is None:
        return ServiceDifference(name, "added" if old is None else "removed", changes)
    return ServiceDifference(
        name,
        "changed",
        changes,
        tuple(sorted(new.env.keys() - old.env.keys())),
        tuple(sorted(old.env.keys() - new.env.keys())),
        tuple(sorted(k for k in old.env.keys() & new.env.keys() if old.env[k] != new.env[k])),
        _keys(old, new),
    )


def _shown(app: ResolvedApp | None) -> dict[str, Any]:
    if app is None:
        return {}
    # A local folder has no commit; what its files hash to tells versions apart all the same.
    version = {"commit": app.commit} if app.commit else {"tree": app.tree}
    ports = {"port": app.port, "tcp": list(app.options.tcp) or None}
    return {"slug": app.slug, **version, "image": app.image, "python": app.python, **ports}


def _keys(old: ResolvedApp, new: ResolvedApp) -> tuple[str, ...]:
    """Names of what else differs: keys of repos.yaml, and what is started."""
    said = [app.options.to_dict() for app in (old, new)]
    names = {name for name in {*said[0], *said[1]} if said[0].get(name) != said[1].get(name)}
    keys = {KEYS[name].name for name in names - {"tcp"}}
    keys |= {name for name in ("entrypoint", "run") if getattr(old, name) != getattr(new, name)}
    return tuple(sorted(keys))
