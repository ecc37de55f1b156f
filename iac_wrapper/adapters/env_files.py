"""Secret environment values as files, so that Terraform never sees them.

A value ``${NAME}`` in repos.yaml is taken from the environment of the deploy and reaches the
container as the file ``/run/iac/env/<variable>``, which the runner turns into a variable.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from iac_wrapper.atomic import write_text
from iac_wrapper.errors import ConfigError
from iac_wrapper.model.app_rules import REFERENCE


def references(env: Mapping[str, str]) -> dict[str, str]:
    """The variables whose value is a reference: variable -> name in the deploy's environment."""
    found = {key: REFERENCE.fullmatch(value) for key, value in env.items()}
    return {key: match[1] for key, match in found.items() if match}


def resolve(env: Mapping[str, str], environ: Mapping[str, str], *, where: str) -> dict[str, str]:
    """Look every reference up in `environ`.

    Raises:
        ConfigError: one is not set there.
    """
    values = {}
    for key, name in sorted(references(env).items()):
        if name not in environ:
            raise ConfigError(
                f"env {key} refers to ${{{name}}}, which is not set",
                where=where,
                expected=f"{name} in the environment of this command or in .env",
                next_step=f"export {name}=…, then run the command again",
            )
        values[key] = environ[name]
    return values


def values(directory: Path) -> list[str]:
    """Every value below `directory` (a project's folder): what no output may show."""
    return [f.read_text(encoding="utf-8") for f in directory.glob("*/*") if f.is_file()]


def changed(directory: Path, values: Mapping[str, str]) -> set[str]:
    """The variables that `write` would give another value, or their first one."""
    return {name for name, value in values.items() if not _holds(directory / name, value)}


def _holds(file: Path, value: str) -> bool:
    return file.is_file() and file.read_text(encoding="utf-8") == value


def changed_at(directory: Path) -> datetime | None:
    """When the values of one app changed last; None if it has none."""
    times = [path.stat().st_mtime for path in (directory, *directory.glob("*")) if path.exists()]
    return datetime.fromtimestamp(max(times), UTC) if times else None


def write(directory: Path, values: Mapping[str, str]) -> None:
    """Make `directory` hold exactly `values`, one file each; what is right already is not touched.

    The files are readable by the app's user; the folder above them (`secrets/`, 0700) keeps
    everybody else out.
    """
    current = {f.name: f.read_text(encoding="utf-8") for f in directory.glob("*") if f.is_file()}
    if current == dict(values):
        return
    for name in current.keys() - values.keys():
        (directory / name).unlink()
    for name, value in values.items():
        write_text(directory / name, value, mode=0o444)
    if directory.is_dir():
        directory.chmod(0o755)
        if not values:
            shutil.rmtree(directory)
