"""repos.lock.json: the facts of a deploy, sorted and stable, safe to commit.

Read by the synth side, written by the command side. No machine paths, no secrets, no clock.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from iac_wrapper.errors import ConfigError
from iac_wrapper.files.atomic import write_text
from iac_wrapper.files.typed import checked
from iac_wrapper.model.app import ResolvedApp
from iac_wrapper.model.entrypoint import Entrypoint, EntrypointSource
from iac_wrapper.model.foreign_image import ForeignImage
from iac_wrapper.model.lock import LockFile
from iac_wrapper.model.options import Options

LOCK_VERSION = 1

_OPTIONAL = (
    *("run", "options", "notes", "web_object", "command", "process_of", "foreign"),
    *("variables", "writable", "supplied"),
)

_DEFAULT_SOURCE: EntrypointSource = "repository"

_OLD_REASONS: Mapping[str, EntrypointSource] = {
    "entrypoint: in repos.yaml": "repos-file",
    "ENTRYPOINT in the environment": "environment",
}
"""Who chose an entrypoint in locks that were written before the key `source`."""

LOCK_OUTPUT = "lock"
"""The Terraform output that carries the applied lock in the state."""


def default_lock_path(repos_file: Path, environment: str | None = None) -> Path:
    """``repos.yaml`` -> ``repos.lock.json``, beside it; ``repos.staging.lock.json`` of staging."""
    suffix = f".{environment}" if environment else ""
    return repos_file.with_name(f"{repos_file.stem}{suffix}.lock.json")


def dump(lock: LockFile) -> str:
    """The lock as JSON text: keys sorted, one final newline."""
    data: dict[str, Any] = {
        "version": LOCK_VERSION,
        "project": lock.project,
        "network": {"name": lock.network, "subnet": lock.subnet},
        "gateway_port": lock.gateway_port,
        "apps": {app.name: app_to_json(app) for app in lock.apps},
    }
    if lock.environment:
        data["environment"] = lock.environment
    if lock.keeps_ingress_port:
        data["ingress_port"] = lock.ingress_port
    if lock.parked:
        data["stopped"] = {app.name: app_to_json(app) for app in lock.parked}
    return json.dumps(data, indent=2, sort_keys=True) + "\n"


def save_lock(lock: LockFile, path: Path) -> None:
    """Write `lock` to `path` by rename, so that a reader never sees half a file."""
    write_text(path, dump(lock))


def load_lock(path: Path) -> LockFile:
    """Read a lock file.

    Raises:
        ConfigError: the file is missing, is not JSON, or is not a lock of this version.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(
            "no lock file",
            where=str(path),
            expected="the file that `iac lock` writes beside repos.yaml",
            next_step=_lock_command(path),
        ) from None
    except (OSError, ValueError) as error:
        raise _unreadable(str(path), str(error)) from None
    return parse_lock(text, where=str(path))


def _lock_command(path: Path) -> str:
    """What writes the lock `path`: of a file, or of one environment of it."""
    name = path.name.removesuffix(".lock.json")
    stem, _, environment = name.rpartition(".")
    if stem and path.with_name(f"{stem}.yaml").is_file():
        return f"iac lock --file {stem}.yaml --env {environment}"
    return f"iac lock --file {name}.yaml"


def parse_lock(text: str, *, where: str) -> LockFile:
    """Parse a lock's JSON text; `where` names its origin in errors.

    Raises:
        ConfigError: it is not JSON, or not a lock of this version.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _unreadable(where, str(error)) from None
    try:
        return _from_json(data)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ConfigError(
            "not a lock file of this version of iac",
            where=where,
            found=f"{type(error).__name__}: {error}",
            expected=f'"version": {LOCK_VERSION} and the keys that `iac lock` writes',
            next_step=_RELOCK,
        ) from None


_RELOCK = "delete the file, then run `iac lock --file repos.yaml`"


def _unreadable(where: str, found: str) -> ConfigError:
    return ConfigError("cannot read the lock file", where=where, found=found, next_step=_RELOCK)


def app_to_json(app: ResolvedApp) -> dict[str, Any]:
    """One entry, without its name."""
    data = asdict(app)
    del data["name"]
    data["env"] = dict(app.env)
    data["options"] = app.options.to_dict()
    if app.foreign:
        data["foreign"] = {
            k: v for k, v in data["foreign"].items() if v is not False and v not in ("", ())
        }
    data["entrypoint"]["variables"] = dict(app.entrypoint.variables)
    data["entrypoint"] = _without_empty(data["entrypoint"])
    if app.entrypoint.source == _DEFAULT_SOURCE:
        del data["entrypoint"]["source"]
    return _without_empty(data)


def _without_empty(data: Mapping[str, Any]) -> dict[str, Any]:
    """Optional keys only where they say something: an earlier lock stays what it was."""
    return {key: value for key, value in data.items() if key not in _OPTIONAL or value}


def _from_json(data: Mapping[str, Any]) -> LockFile:
    if data["version"] != LOCK_VERSION:
        raise ValueError(f"version {data['version']!r}")
    network = data["network"]
    found = LockFile(
        project=data["project"],
        network=network["name"],
        subnet=str(ipaddress.IPv4Network(str(network["subnet"]))),
        gateway_port=data["gateway_port"],
        apps=_apps_from_json(data["apps"]),
        environment=data.get("environment"),
        ingress_port=data.get("ingress_port"),
        parked=_apps_from_json(data.get("stopped", {})),
    )
    return checked(found)


def _apps_from_json(data: Mapping[str, Any]) -> tuple[ResolvedApp, ...]:
    return tuple(app_from_json(name, app) for name, app in sorted(data.items()))


def app_from_json(name: str, data: Mapping[str, Any]) -> ResolvedApp:
    """The app `name` from its entry.

    Raises:
        KeyError, TypeError, AttributeError, ValueError: it is not an entry of this version.
    """
    entrypoint = dict(data["entrypoint"])
    for key in ("rejected", "args", "writable"):
        entrypoint[key] = tuple(entrypoint.get(key, ()))
    entrypoint["variables"] = tuple(entrypoint.get("variables", {}).items())
    entrypoint.setdefault("source", _OLD_REASONS.get(entrypoint["reason"], _DEFAULT_SOURCE))
    changes = {
        "name": name,
        "entrypoint": checked(Entrypoint(**entrypoint)),
        "options": checked(Options.from_dict(data.get("options", {}))),
        "notes": tuple(data.get("notes", ())),
        "foreign": _foreign(data["foreign"]) if "foreign" in data else None,
    }
    return checked(ResolvedApp(**{**data, **changes}))


def _foreign(data: Mapping[str, Any]) -> ForeignImage:
    return checked(
        ForeignImage(**{"pinned": "", **data, "volumes": tuple(data.get("volumes", ()))})
    )
