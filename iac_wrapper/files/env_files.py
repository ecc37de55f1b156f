"""Secret environment values as files, so that Terraform never sees them.

A value with ``${NAME}`` in repos.yaml is taken from the environment of the deploy and reaches the
container as the file ``/run/iac/env/<variable>``, which the runner turns into a variable. A value
is bytes: as text it is what `os.fsdecode` makes of them, as in `os.environ`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from iac_wrapper.errors import ConfigError
from iac_wrapper.files.atomic import write_bytes
from iac_wrapper.model import references
from iac_wrapper.model.app_rules import check_env_size, check_env_total
from iac_wrapper.model.redact import is_masked

KEPT_PARTS = 20
"""Values of one service that went into text and stay masked: those that were replaced, too."""


def referring(env: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """The variables whose value refers to others: variable -> names in the deploy's environment."""
    found = {key: references.names(value) for key, value in env.items()}
    return {key: names for key, names in found.items() if names}


def require(
    envs: Mapping[str, Mapping[str, str]], environ: Mapping[str, str], *, env_file: Path
) -> None:
    """Refuse references that stand for nothing, all of them at once.

    Args:
        envs: the `env:` of services, by where it is from.
        environ: the environment of the deploy; `env_file` is the ``.env`` that is a part of it.

    Raises:
        ConfigError: `environ` lacks a name.
    """
    missing = [
        (where, key, name)
        for where, env in envs.items()
        for key, names in sorted(referring(env).items())
        for name in names
        if name not in environ
    ]
    if not missing:
        return
    where, key, name = missing[0]
    names = sorted({name for _, _, name in missing})
    uses = [f"{where}: env {key} refers to ${{{name}}}" for where, key, name in missing]
    one = f"env {key} refers to ${{{name}}}, which is not set"
    several = f"`env:` refers to variables that are not set: {', '.join(names)}"
    raise ConfigError(
        several if len(missing) > 1 else one,
        where=None if len(missing) > 1 else where,
        expected=f"{', '.join(names)} in the environment of this command"
        f" or in {env_file.absolute()}",
        next_step=f"export {' '.join(f'{name}=…' for name in names)}, then run the command again;"
        f" or store it: iac env set SERVICE --secret {names[0]}",
        detail="\n".join(uses) if len(missing) > 1 else None,
    )


def resolve(
    env: Mapping[str, str], environ: Mapping[str, str], *, where: str, env_file: Path
) -> dict[str, str]:
    """Look every reference up in `environ`; `env_file` is the ``.env`` that is a part of it.

    Raises:
        ConfigError: one is not set there, or no program could get it.
    """
    require({where: env}, environ, env_file=env_file)
    values = {}
    for key, names in sorted(referring(env).items()):
        for name in names:
            _check_text(name, environ[name], where)
        values[key] = references.fill(env[key], environ)
    try:
        for key, value in values.items():
            check_env_size(key, value)
        check_env_total({**env, **values})
    except ConfigError as error:
        error.where = where
        raise
    return values


def _check_text(name: str, value: str, where: str) -> None:
    if "\0" in value:
        raise ConfigError(
            f"{name} holds a NUL character",
            where=where,
            expected="none",
            next_step=f"set {name} to text; encode binary data, for instance as base64",
        )


def keep_parts(directory: Path, env: Mapping[str, str], environ: Mapping[str, str]) -> None:
    """Note in `directory` the values that go into other text: no output may show them either.

    What was noted before stays, as a log may still hold a password that was replaced.
    """
    composed = [value for value in env.values() if not references.WHOLE.fullmatch(value)]
    found = {environ[name] for value in composed for name in references.names(value)}
    for value in filter(is_masked, found):
        data = os.fsencode(value)
        write_bytes(directory / hashlib.sha256(data).hexdigest()[:16], data, mode=0o400)
    if directory.is_dir():
        files = sorted(directory.iterdir(), key=lambda file: file.stat().st_mtime)
        for file in files[:-KEPT_PARTS]:
            file.unlink()


def read_values(directory: Path) -> dict[str, str]:
    """The values of one app as they are on disk."""
    return {name: os.fsdecode(value) for name, value in _bytes(directory).items()}


def _bytes(directory: Path) -> dict[str, bytes]:
    return {f.name: f.read_bytes() for f in directory.glob("*") if f.is_file()}


def stash(directory: Path, previous: Path) -> None:
    """Keep the values of `directory` in `previous`, unless proven ones are kept there already."""
    if previous.exists():
        return
    draft = previous.with_name(f"{previous.name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True, mode=0o755)
    for name, value in _bytes(directory).items():
        write_bytes(draft / name, value, mode=0o444)
    draft.rename(previous)


def restore(directory: Path, previous: Path) -> None:
    """Make `directory` hold what `previous` keeps, and forget the latter; nothing kept is fine."""
    if previous.exists():
        write_values(directory, read_values(previous))
        forget(previous)


def forget(previous: Path) -> None:
    """Remove kept values."""
    shutil.rmtree(previous, ignore_errors=True)


def values(directory: Path) -> list[str]:
    """Every value below `directory` (a project's folder) that no output may show."""
    found = (os.fsdecode(f.read_bytes()) for f in directory.glob("*/*") if f.is_file())
    return [value for value in found if is_masked(value)]


def changed_names(directory: Path, values: Mapping[str, str]) -> set[str]:
    """The variables that `write` would give another value, or their first one."""
    return {name for name, value in values.items() if not _holds(directory / name, value)}


def _holds(file: Path, value: str) -> bool:
    return file.is_file() and file.read_bytes() == os.fsencode(value)


def changed_at(directory: Path) -> datetime | None:
    """When the values of one app changed last; None if it has none."""
    times = [path.stat().st_mtime for path in (directory, *directory.glob("*")) if path.exists()]
    return datetime.fromtimestamp(max(times), UTC) if times else None


def write_values(directory: Path, values: Mapping[str, str]) -> None:
    """Make `directory` hold exactly `values`, one file each; what is right already is not touched.

    The files are readable by the app's user; the folder above them (`secrets/`, 0700) keeps
    everybody else out.
    """
    wanted = {name: os.fsencode(value) for name, value in values.items()}
    current = _bytes(directory)
    if current == wanted:
        return
    for name in current.keys() - wanted.keys():
        (directory / name).unlink()
    for name, value in wanted.items():
        write_bytes(directory / name, value, mode=0o444)
    if directory.is_dir():
        directory.chmod(0o755)
        if not values:
            shutil.rmtree(directory)
