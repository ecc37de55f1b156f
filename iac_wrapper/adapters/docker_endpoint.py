"""Where the Docker engine is, by the docker CLI's own rules, so that all tools use one engine.

The rules (docs.docker.com/engine/manage-resources/contexts): DOCKER_HOST, else the context named
by DOCKER_CONTEXT or chosen with `docker context use`, else the default socket. Docker Desktop,
colima and rootless engines are contexts; the Docker SDK and Terraform know only DOCKER_HOST.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def endpoint(environ: Mapping[str, str]) -> str | None:
    """The engine's address, for instance ``unix:///run/user/1000/docker.sock``.

    Returns:
        None for the default socket, and for a context that cannot be read: the engine adapter
        then says what it tried.
    """
    if environ.get("DOCKER_HOST"):
        return environ["DOCKER_HOST"]
    folder = Path(environ.get("DOCKER_CONFIG") or Path(environ.get("HOME", "/")) / ".docker")
    name = environ.get("DOCKER_CONTEXT") or _read(folder / "config.json").get("currentContext")
    if not name or name == "default":
        return None
    identifier = hashlib.sha256(name.encode()).hexdigest()
    meta = _read(folder / "contexts" / "meta" / identifier / "meta.json")
    host: str | None = meta.get("Endpoints", {}).get("docker", {}).get("Host")
    return host


def is_local(engine: str | None) -> bool:
    """Whether an address is a socket of this machine; None is the default one."""
    return engine is None or engine.startswith("unix://")


def _read(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}
