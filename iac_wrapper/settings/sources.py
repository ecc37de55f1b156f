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


def wants_no_color() -> bool:
    """Whether the person wants no colours: NO_COLOR has any value (no-color.org)."""
    return bool(os.environ.get("NO_COLOR"))


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
