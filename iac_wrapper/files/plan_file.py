"""A saved plan as a file: JSON, 0600, sealed with a key of the project folder.

It holds no value of a variable. Digests of what may be guessed, such as a password, are keyed, and
the key is not in the file.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from iac_wrapper.errors import ConfigError
from iac_wrapper.files import file_lock
from iac_wrapper.files.atomic import write_text
from iac_wrapper.model.saved_plan import PlanRequest, SavedPlan

FORM = "karstkit-plan"
VERSION = 1
_KEY_BYTES = 32  # of SHA-256: RFC 2104 asks for no less


def key(path: Path) -> bytes:
    """The key of the project folder, in the file `path`; made if there is none."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    path.parent.mkdir(parents=True, exist_ok=True)
    with file_lock.hold(os.open(path, flags, 0o600)):
        if len(found := path.read_bytes()) != _KEY_BYTES:
            found = secrets.token_bytes(_KEY_BYTES)
            path.write_bytes(found)
    return found


def digest(seal: bytes, data: bytes) -> str:
    """What stands for `data` in a plan: HMAC-SHA256, in hexadecimal."""
    return hmac.new(seal, data, hashlib.sha256).hexdigest()


def check_place(path: Path) -> None:
    """Refuse a place where no plan can be written, or where something else would be lost.

    Raises:
        ConfigError: the folder is missing, or the file is no plan.
    """
    if not path.parent.is_dir():
        raise ConfigError(
            "there is no such folder for the plan",
            where=str(path.parent),
            next_step=f"mkdir -p {path.parent}, or choose another file",
        )
    if path.exists() and _parsed(path.read_bytes()).get("form") != FORM:
        raise ConfigError(
            "--out would overwrite a file that is no saved plan",
            where=str(path),
            expected="a new file, or a plan that `iac plan --out` wrote",
            next_step="choose another file",
        )


def save(plan: SavedPlan, path: Path, seal: bytes) -> str:
    """Write `plan` to `path` by rename.

    Returns:
        The SHA-256 of the file in hexadecimal, which names it.
    """
    digests = [[*part, value] for part, value in plan.digests.items()]
    data = {"form": FORM, "v": VERSION, **asdict(plan), "digests": digests}
    text = json.dumps({**data, "seal": _seal(data, seal)}, indent=2, sort_keys=True) + "\n"
    write_text(path, text, mode=0o600)
    return hashlib.sha256(text.encode()).hexdigest()


def load(path: Path, seal: bytes) -> tuple[SavedPlan, str]:
    """The plan in `path`, and the SHA-256 of the file.

    Raises:
        ConfigError: it cannot be read, is no plan, or was not made with this key, or changed since.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            "cannot read the saved plan",
            where=str(path),
            found=error.strerror,
            next_step=f"iac plan --out {path}",
        ) from None
    data = _parsed(content)
    if data.pop("form", None) != FORM:
        raise _unusable(path, "it is none", "a file that `iac plan --out` wrote")
    if (version := data.pop("v", None)) != VERSION:
        raise _unusable(path, f"version {version}", f"version {VERSION}, of this iac")
    given = str(data.pop("seal", "")).encode()
    right = _seal({"form": FORM, "v": version, **data}, seal).encode()
    if not hmac.compare_digest(given, right):
        raise _unusable(path, "its seal does not fit", "a plan of this folder, as it was written")
    digests = {(kind, name): value for kind, name, value in data.pop("digests")}
    asked = data["request"]
    lists = {"files": tuple(asked["files"]), "slugs": tuple(asked["slugs"])}
    plan = SavedPlan(**{**data, "request": PlanRequest(**{**asked, **lists}), "digests": digests})
    return plan, hashlib.sha256(content).hexdigest()


def _seal(data: Mapping[str, Any], seal: bytes) -> str:
    return digest(seal, json.dumps(data, sort_keys=True).encode())


def _parsed(content: bytes) -> dict[str, Any]:
    """The object in a file; empty if there is none."""
    try:
        data = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def _unusable(path: Path, found: str, expected: str) -> ConfigError:
    return ConfigError(
        "the saved plan cannot be used",
        where=str(path),
        found=found,
        expected=expected,
        next_step=f"iac plan --out {path}, in the project folder that it is for",
    )
