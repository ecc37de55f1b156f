"""The command by which another platform's file starts the repository: as good as a Procfile's
line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from iac_wrapper.program.python_project import read_text, table, toml_or_empty


def platform_commands(root: Path) -> Iterator[tuple[str, str, str, int]]:
    """Of each file that names one: the file, what the command is called there, the command, and
    its line from 1. A file that cannot be read names none: the platform says more about that."""
    for file, (name, read) in _FILES.items():
        text = read_text(root, file)
        command = read(text) if text else None
        if isinstance(command, str) and (line := command.strip()) and "\n" not in line:
            yield file, name, line, _line(text or "", line)


def _line(text: str, command: str) -> int:
    first = command.split(maxsplit=1)[0]
    named = (n for n, line in enumerate(text.splitlines(), 1) if command in line)
    alike = (n for n, line in enumerate(text.splitlines(), 1) if first in line)
    return next(named, next(alike, 1))


def _json(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _yaml(text: str) -> Mapping[str, Any]:
    try:
        found = yaml.load(text, yaml.CSafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _render(text: str) -> object:
    """Of the only web service, else of the only one; one in a folder starts there."""
    listed = _yaml(text).get("services")
    services = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    started = [one for one in services if one.get("startCommand")]
    web = [one for one in started if one.get("type") == "web"]
    for found in (web, started):
        if len(found) == 1:
            is_root = str(found[0].get("rootDir") or ".").strip("./") == ""
            return found[0]["startCommand"] if is_root else None
    return None


def _fly(text: str) -> object:
    """Of the only group of processes."""
    processes = [*table(toml_or_empty(text), "processes").values()]
    return processes[0] if len(processes) == 1 else None


_FILES: Mapping[str, tuple[str, Callable[[str], object]]] = {
    "render.yaml": ("startCommand", _render),
    "railway.json": ("startCommand", lambda text: table(_json(text), "deploy").get("startCommand")),
    "railway.toml": (
        "startCommand",
        lambda text: table(toml_or_empty(text), "deploy").get("startCommand"),
    ),
    "railpack.json": (
        "startCommand",
        lambda text: table(_json(text), "deploy").get("startCommand"),
    ),
    "nixpacks.toml": ("cmd", lambda text: table(toml_or_empty(text), "start").get("cmd")),
    "app.yaml": ("entrypoint", lambda text: _yaml(text).get("entrypoint")),
    "fly.toml": ("processes", _fly),
}
"""In the order in which they count, with the key of the command."""
