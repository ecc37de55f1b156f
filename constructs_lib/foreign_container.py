"""The container of an image that is not ours, as its own user and program want it. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from constructs_lib.app_environment import ENV_DIRECTORY
from constructs_lib.text import literal
from iac_wrapper.model import references
from iac_wrapper.model.app import ResolvedApp
from iac_wrapper.model.foreign_image import (
    is_secret,
    needs_shell,
    values_by_path,
    values_by_shell,
)

STOP_GRACE = 10
"""Seconds that it has to end when repos.yaml says nothing: Docker's own default."""

_SET_VALUES = (
    f"for _f in {ENV_DIRECTORY}/*; do"
    " case $_f in *_FILE) continue;; esac;"
    ' _v=$(cat "$_f" && echo x) || exit 78;'
    ' export "${_f##*/}=${_v%x}";'
    " done; unset _f _v; "
)
"""What a shell does before the program: a variable for each file, byte for byte (but for a NUL)."""


def environment(app: ResolvedApp, more: Mapping[str, str]) -> tuple[str, ...]:
    """``NAME=value`` lines, sorted: those of repos.yaml and `more`, and nothing of ours but PORT,
    where the entry says it. A secret value is never among them, at most the path of its file."""
    values = {**app.env, **more}
    paths = {name: f"{ENV_DIRECTORY}/{name}" for name in values_by_path(values)}
    plain = {n: references.fill(value, {}) for n, value in values.items() if not is_secret(value)}
    port = {"PORT": str(app.port)} if app.port_declared else {}
    lines = {**plain, **paths, **port}
    return tuple(f"{name}={literal(value)}" for name, value in sorted(lines.items()))


def has_values(app: ResolvedApp) -> bool:
    """Whether the container needs the directory of value files."""
    return any(is_secret(value) for value in app.env.values())


def program(app: ResolvedApp) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What takes the place of the image's ENTRYPOINT, and of its CMD; empty: the image's own.

    Where the image's shell has something to do first, or a word is empty, which Terraform cannot
    pass on, that shell starts the whole.
    """
    if needs_shell(app.env, app.options.command):
        words = (*shlex.split(app.entrypoint.target), *app.entrypoint.args)
        first = _SET_VALUES if values_by_shell(app.env) else ""
        return ("/bin/sh", "-c", f"{first}exec {shlex.join(words)}"), ()
    said = app.options.command
    return (
        tuple(shlex.split(app.entrypoint.target)) if app.entrypoint.source == "repos-file" else (),
        tuple(shlex.split(said)) if said else (),
    )


def in_place_of_program(entrypoint: Sequence[str], argv: Sequence[str]) -> tuple[str, ...]:
    """`argv` as what a container starts, with the secret values that its program has.

    Nothing of that program is started: its data may be that of the one which runs beside it.

    Args:
        entrypoint: of the two of `program`, the first; empty: the image's own.
    """
    if any(word.startswith(_SET_VALUES) for word in entrypoint):
        return ("/bin/sh", "-c", f'{_SET_VALUES}exec "$@"', "sh", *argv)
    return tuple(argv)
