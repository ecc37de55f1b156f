"""Where settings come from: the environment, then `.env`, then their defaults."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from iac_wrapper.errors import ConfigError
from iac_wrapper.files import env_text
from iac_wrapper.settings.table import Settings


def load_settings(root: Path | None, environ: Mapping[str, str] | None = None) -> Settings:
    """Settings of the project in `root`: environment over `.env` over defaults.

    Args:
        root: the project folder; its `.env` is read if it exists. None: there is no such folder.
        environ: stands for the process environment (tests).

    Raises:
        ConfigError: `.env` cannot be read.
    """
    process = dict(os.environ if environ is None else environ)
    from_file = _read_env_file(root / ".env", process) if root else {}
    merged = {**from_file, **{k: v for k, v in process.items() if v or k not in from_file}}
    chosen = {name: merged[name].strip() for name in Settings.by_name if merged.get(name)}
    return Settings(**chosen, environment=merged)


def wants_color() -> bool | None:
    """Whether the person wants colours; None: on a terminal.

    NO_COLOR (no-color.org) and FORCE_COLOR (force-color.org) have any value; the former wins.
    """
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return False if os.environ.get("TERM") == "dumb" else None


def can_move_cursor() -> bool:
    """Whether a terminal is one on which lines can change, and a person looks at it: a CI system
    (which says CI) keeps what is written as a log."""
    is_known = os.environ.get("TERM", "") not in ("", "dumb", "unknown")
    return is_known and os.environ.get("CI", "") in ("", "0", "false")


def overridden(root: Path, environ: Mapping[str, str] | None = None) -> list[str]:
    """The settings of `.env` that count for nothing, as the environment says another value."""
    process = dict(os.environ if environ is None else environ)
    said = _read_env_file(root / ".env", process)
    both = (name for name in Settings.by_name if said.get(name) and process.get(name))
    return [name for name in both if said[name] != process[name]]


def _read_env_file(path: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of `.env`; bytes that are not UTF-8 become what `os.environ` makes of them.

    It may be a pipe: secret managers serve it as one.
    """
    try:
        return env_text.parse(os.fsdecode(path.read_bytes()), environ)
    except (FileNotFoundError, IsADirectoryError):
        return {}
    except (env_text.EnvTextError, OSError) as error:
        line = f":{error.line}" if isinstance(error, env_text.EnvTextError) else ""
        raise ConfigError(
            "cannot read the settings",
            where=f"{path.name}{line}",
            found=str(error),
            expected="NAME=value, with quotes as in a shell",
            next_step=f"correct {path.absolute()}",
        ) from None
